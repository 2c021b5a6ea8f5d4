"""Kodiai's addresses."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView
from drf_spectacular.views import SpectacularJSONAPIView

from kodiai.health import healthz, readyz
from kodiai.logins import log_in
from reviews.views import github_webhook
from telemetry.api import AnonymousThrottle

admin.site.site_header = "Kodiai"
admin.site.site_title = "Kodiai"
admin.site.index_title = "What happened"

handler400 = "telemetry.problems.bad_request"
handler404 = "telemetry.problems.page_not_found"
handler500 = "telemetry.problems.server_error"

schema = SpectacularJSONAPIView.as_view(
    authentication_classes=[], permission_classes=[], throttle_classes=[AnonymousThrottle]
)

urlpatterns = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("admin/login/", log_in),
    path("admin/", admin.site.urls),
    path("api/", TemplateView.as_view(template_name="api.html")),
    path("api/schema/", schema),
    path("api/v1/", include("telemetry.urls")),
    path("webhooks/github", github_webhook, name="github-webhook"),
]
