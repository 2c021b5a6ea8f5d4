"""`POST /webhooks/github` where Django answers it: in tests, and on any WSGI server.

The front door (`kodiai.asgi`) answers it without Django's handling of requests, which costs more than all of this.
"""

from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from reviews.intake.receive import read, store
from reviews.intake.requests import Reply, refusal, why_refused


@csrf_exempt
def github_webhook(request: HttpRequest) -> HttpResponse:
    """Take one delivery. 202 is answered only after what it promises is committed."""
    if refused := why_refused(request.method, request.headers):
        return _respond(refused)
    try:
        body = request.body
    except UnreadablePostError:
        return _respond(refusal(400, "the body ended early"))
    received = read(request.headers, body)
    return _respond(received if isinstance(received, Reply) else store([received])[0])


def _respond(reply: Reply) -> JsonResponse:
    return JsonResponse(dict(reply.content), status=reply.status, headers=dict(reply.headers))
