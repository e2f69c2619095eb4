"""How Django finds the room ``delivery``."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class DeliveryConfig(AppConfig):
    name = "delivery"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from contacts.segmenting import register
        from delivery.conditions import MAIL
        from delivery.counting import install_after_migrating

        register("mail", MAIL)
        post_migrate.connect(install_after_migrating, sender=self)
