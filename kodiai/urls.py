"""Kodiai's addresses."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView, TemplateView
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework.routers import SimpleRouter

from kodiai.app_setup import created, setup
from kodiai.health import healthz, readyz
from kodiai.logins import log_in
from kodiai.metrics import metrics
from reviews.views.api.aggregates import AggregateViewSet
from reviews.views.api.deliveries import DeliveryViewSet
from reviews.views.api.limits import LimitViewSet
from reviews.views.api.reviews import ReviewViewSet
from reviews.views.webhook import github_webhook
from telemetry.api import AnonymousThrottle

handler400 = "telemetry.problems.bad_request"
handler404 = "telemetry.problems.page_not_found"
handler500 = "telemetry.problems.server_error"

router = SimpleRouter(use_regex_path=False)
router.register("deliveries", DeliveryViewSet)
router.register("reviews", ReviewViewSet)
router.register("limits", LimitViewSet)
router.register("aggregates", AggregateViewSet, basename="aggregates")

schema = SpectacularJSONAPIView.as_view(
    authentication_classes=[], permission_classes=[], throttle_classes=[AnonymousThrottle]
)

urlpatterns = [
    path("", TemplateView.as_view(template_name="home.html")),
    path("favicon.ico", RedirectView.as_view(url=static("kodiai/favicon.svg"))),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("setup", setup, name="setup"),
    path("setup/created", created, name="setup-created"),
    path("admin/login/", log_in),
    path("admin/", admin.site.urls),
    path("api/", TemplateView.as_view(template_name="api.html")),
    path("api/schema/", schema),
    path("api/v1/", include("telemetry.urls")),
    path("api/v1/", include(router.urls)),
    path("webhooks/github", github_webhook, name="github-webhook"),
]
