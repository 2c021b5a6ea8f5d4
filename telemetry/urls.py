"""URLs of the REST API of telemetry."""

from rest_framework.routers import SimpleRouter

from telemetry.api import ExecutionViewSet, RateLimitEventViewSet

router = SimpleRouter(use_regex_path=False)
router.register("rate-limit-events", RateLimitEventViewSet)
router.register("executions", ExecutionViewSet)

urlpatterns = router.urls
