"""Kodiai's addresses."""

from django.contrib import admin
from django.urls import include, path

from kodiai.health import healthz, readyz
from kodiai.logins import log_in

admin.site.site_header = "Kodiai"
admin.site.site_title = "Kodiai"
admin.site.index_title = "What happened"

urlpatterns = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("admin/login/", log_in),
    path("admin/", admin.site.urls),
    path("", include("reviews.urls")),
]
