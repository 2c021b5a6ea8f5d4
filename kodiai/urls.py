"""Kodiai's addresses."""

from django.contrib import admin
from django.urls import include, path

admin.site.site_header = "Kodiai"
admin.site.site_title = "Kodiai"
admin.site.index_title = "What happened"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("reviews.urls")),
]
