"""How Django finds the room ``delivery``, and what it adds to the page of a contact."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class DeliveryConfig(AppConfig):
    name = "delivery"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from contacts import erasing, retention, story
        from contacts.segmenting import register
        from delivery import personal, retaining
        from delivery.conditions import MAIL
        from delivery.counting import install_after_migrating
        from delivery.story import messages_of

        register("mail", MAIL)
        story.TELLERS.append(messages_of)
        erasing.PARTS.append(personal.PART)
        retention.RULES.extend(retaining.RULES)
        post_migrate.connect(install_after_migrating, sender=self)
