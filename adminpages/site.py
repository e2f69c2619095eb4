"""The site of the admin pages. It lists all models only where a page shows that list: ours have a sidebar instead."""

from typing import Any

from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from unfold.sites import UnfoldAdminSite


class Site(UnfoldAdminSite):  # type: ignore[misc]  # unfold is untyped.
    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """Return the list, made once somebody looks into it: it asks for five permissions of each model."""
        return SimpleLazyObject(lambda: UnfoldAdminSite.get_app_list(self, request, app_label))


class SiteConfig(AdminConfig):
    default_site = "adminpages.site.Site"
