"""Kodiai's addresses, and an empty view beside which the intake is timed."""

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from kodiai.urls import urlpatterns as _kodiai


@csrf_exempt
def empty(request: HttpRequest) -> HttpResponse:
    """Read the body, as any answer to a post must, and do nothing with it."""
    return HttpResponse(str(len(request.body)))


# Below /webhooks/, so that a web server which treats deliveries differently treats both alike.
urlpatterns = [path("webhooks/empty", empty), *_kodiai]
