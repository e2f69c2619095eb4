"""How Django finds the project itself, which owns the migration that makes the roles."""

from django.apps import AppConfig, apps


class BrillianceConfig(AppConfig):
    name = "brilliance"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from brilliance import checks  # noqa: F401  # registers them

        apps.get_app_config("auth").verbose_name = "System"  # Its group in the sidebar.
