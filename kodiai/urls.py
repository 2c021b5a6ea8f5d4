"""Kodiai's addresses."""

from django.contrib import admin
from django.urls import path

from kodiai.health import healthz, readyz
from kodiai.logins import log_in
from reviews.views import github_webhook

admin.site.site_header = "Kodiai"
admin.site.site_title = "Kodiai"
admin.site.index_title = "What happened"

urlpatterns = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("admin/login/", log_in),
    path("admin/", admin.site.urls),
    path("webhooks/github", github_webhook, name="github-webhook"),
]
