"""Conversion of stored values to the kind of their attribute, in slices."""

from django.db import transaction

from contacts.attributes.rules import parse_value, value_text
from contacts.models import Attribute, Contact

SLICE_CONTACTS = 1_000


def holders(name: str) -> int:
    """Return the number of contacts that have a value under that name."""
    return Contact.objects.filter(attributes__has_key=name).count()


def retype(attribute_id: int, after: int = 0) -> int | None:
    """Convert the values of the next slice of contacts; return where to continue, None at the end.

    A value that cannot be converted stays as it is. Safe to repeat.

    :param after: the key of the last contact of the previous slice.
    """
    definition = Attribute.objects.filter(pk=attribute_id).first()
    if definition is None:
        return None
    with transaction.atomic():
        people = Contact.objects.select_for_update().filter(pk__gt=after, attributes__has_key=definition.name)
        some = list(people.order_by("pk").only("pk", "attributes")[:SLICE_CONTACTS])
        changed = [contact for contact in some if _retype_one(contact, definition)]
        Contact.objects.bulk_update(changed, ["attributes"], batch_size=200)
    return some[-1].pk if len(some) == SLICE_CONTACTS else None


def _retype_one(contact: Contact, definition: Attribute) -> bool:
    before = contact.attributes[definition.name]
    try:
        value = parse_value(definition.kind, definition.choices, value_text(before))
    except ValueError:
        return False
    if value is None:
        del contact.attributes[definition.name]
        return True
    contact.attributes[definition.name] = value
    return type(value) is not type(before) or value != before
