"""Foreign keys whose number stays when the row that they name is deleted."""

from typing import Any

from django.db import models
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor


class _KeptRow(ForwardManyToOneDescriptor):  # type: ignore[type-arg]
    def get_object(self, instance: models.Model) -> Any:
        try:
            return super().get_object(instance)
        except self.field.remote_field.model.DoesNotExist:
            return None


class KeptKey(models.ForeignKey):  # type: ignore[type-arg]
    """A foreign key of tables with so many rows that the deletion of what they name must not touch them.

    The number stays, and reading the deleted row gives None. There is neither an index nor a constraint.
    """

    forward_related_accessor_class = _KeptRow

    def __init__(self, to: Any, **kwargs: Any) -> None:
        kept = {"on_delete": models.DO_NOTHING, "null": True, "db_index": False, "db_constraint": False}
        super().__init__(to, **(kwargs | kept))
