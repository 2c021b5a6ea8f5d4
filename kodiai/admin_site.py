"""The admin as operators see it: its index is the dashboard, and the lists that matter are one click away."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from django.template.response import TemplateResponse

NAVIGATION = ("Delivery", "Review", "RateLimitEvent", "Execution")
"""Models whose lists the header links to."""
SEEN = ("reviews.view_delivery", "reviews.view_review", "telemetry.view_ratelimitevent", "telemetry.view_execution")
"""Permissions that the dashboard needs: it shows figures of these tables."""


class KodiaiAdminConfig(AdminConfig):
    """Django's admin with Kodiai's site."""

    default_site = "kodiai.admin_site.KodiaiAdminSite"


class KodiaiAdminSite(admin.AdminSite):
    """The site of the admin."""

    site_header = site_title = "Kodiai"
    index_title = "Dashboard"
    index_template = "admin/dashboard.html"
    enable_nav_sidebar = False

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show the dashboard to whoever may see what it counts, and the list of tables below it."""
        context = dict(extra_context or {})
        if request.user.has_perms(SEEN):
            # Imported here: models are not loaded yet when the site is made.
            from kodiai.dashboard.figures import figures, github_limits
            from kodiai.dashboard.ranges import USUAL, read_range

            context |= {
                "dashboard": figures(read_range(request.GET.dict())),
                "usual_ranges": [(name, text) for name, (text, _) in USUAL.items()],
                "github_limits": github_limits(),
            }
        return super().index(request, context)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return the apps whose rows the user may see; what operators look at comes first."""
        listed = super().get_app_list(request, app_label)
        for app in listed:
            for model in app["models"]:
                model["in_navigation"] = model["object_name"] in NAVIGATION
        first = {"reviews": 0, "telemetry": 1}
        return sorted(listed, key=lambda app: (first.get(app["app_label"], 2), app["name"]))
