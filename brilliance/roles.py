"""The four roles and their permissions. Everything not listed is denied."""

from collections.abc import Collection
from typing import Any

from django.apps import apps as present_apps
from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions

# ``room.*`` means every permission on the room's models except these: a routing rule moves everybody's mail, and
# everybody's filters and merge fields depend on an attribute's kind.
FOR_ADMINS_ALONE = (
    *("add_route", "change_route", "delete_route"),
    *("add_attribute", "change_attribute", "delete_attribute"),
    *("add_approvalrule", "change_approvalrule", "delete_approvalrule", "override_check"),
    *("add_archivesettings", "change_archivesettings", "delete_archivesettings"),
)
# What pages ask for although its model has no page in the admin.
WITHOUT_A_PAGE = (
    *("delivery.view_mailing", "delivery.view_message", "delivery.view_attempt"),
    *("campaigns.view_archivesettings", "campaigns.change_archivesettings", "admin.view_logentry"),
)
ROLES: dict[str, tuple[str, ...]] = {
    "admin": ("*",),
    "marketer": (
        "contacts.*",
        "campaigns.*",
        "delivery.view_mailing",
        "delivery.view_message",
        "delivery.view_attempt",
        "delivery.resend_message",
        "feedback.view_feedback",
        "feedback.view_report",
        "feedback.view_rawreport",
        "feedback.retry_relay",
        "smtpservers.view_fleet",
        "smtpservers.view_route",
        "domains.view_sendingdomain",
        "sandbox.view_sandboxmail",
    ),
    # No contact data: no recipients, and no sandbox, which shows their addresses.
    "ops": (
        "smtpservers.*",
        "domains.*",
        "oauth.*",
        *(f"feedback.{action}_mailbox" for action in ("view", "add", "change", "delete")),
        "campaigns.view_progress",
        "campaigns.pause_campaign",
    ),
    "viewer": ("smtpservers.view_fleet", "campaigns.view_progress"),
}


def make_roles(apps: Apps, using: str, known: Collection[int] = ()) -> None:
    """Create the groups and give each its permissions; safe to repeat, removes nothing.

    :param apps: the app registry: a migration's, or the live one.
    :param known: keys of permissions that existed before; their assignment is left to administrators.
    :raises LookupError: if the table names a permission that no model has.
    """
    for app_config in apps.get_app_configs():
        # Django creates permissions after the last migration, but they are needed now. A migration's stand-in for an
        # app lacks the attribute that create_permissions reads.
        if not hasattr(app_config, "models_module"):
            setattr(app_config, "models_module", True)  # noqa: B010  # its type promises what it lacks
        create_permissions(app_config, verbosity=0, using=using, apps=apps)
    group_model = apps.get_model("auth", "Group")
    for name, patterns in ROLES.items():
        group, _is_new = group_model.objects.using(using).get_or_create(name=name)
        for pattern in patterns:
            found = _matching(apps, using, pattern)
            group.permissions.add(*(permission for permission in found if permission.pk not in known))


def _matching(apps: Apps, using: str, pattern: str) -> list[Any]:
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    room, _dot, codename = pattern.partition(".")
    if room != "*":
        permissions = permissions.filter(content_type__app_label=room)
        if codename != "*":
            permissions = permissions.filter(codename=codename)
        permissions = permissions.exclude(codename__in=FOR_ADMINS_ALONE)
    found = list(permissions.all())
    if not found and apps is present_apps:  # A migration may run before the model of a later one exists.
        raise LookupError(f"no model has the permission {pattern}, which a role asks for")
    return found
