"""The App manifest flow: the page that takes a manifest, and the exchange of its code for the App's credentials.

Source: GitHub docs, "Registering a GitHub App from a manifest"; REST docs, "Create a GitHub App from a manifest".
The real page asks a person to confirm; here the App, the one of the sandbox, is made at once.
"""

import json
import secrets
import time
from urllib.parse import parse_qs, urlencode, urlsplit

from sandbox.app import app_json
from sandbox.http import ApiError, Request, Response, not_found
from sandbox.state.state import State

CODE_SECONDS = 3600
"""How long a code is valid."""
REQUIRED = ("url", "redirect_url", "hook_attributes", "default_permissions", "default_events")


def register(state: State, request: Request) -> Response:
    """Take the form with the manifest and redirect to its `redirect_url`, with the code and the form's state."""
    form = parse_qs(request.raw.decode())
    try:
        manifest = json.loads(form["manifest"][0])
        missing = [name for name in REQUIRED if name not in manifest]
        target = urlsplit(manifest["redirect_url"])
    except (KeyError, ValueError, TypeError) as error:
        raise ApiError(422, f"Invalid GitHub App configuration: {error}") from error
    if missing or target.scheme not in ("http", "https"):
        raise ApiError(422, f"Invalid GitHub App configuration: {missing or 'redirect_url'}")
    code = secrets.token_hex(20)
    state.manifests[code] = (time.monotonic(), request.parameters.get("org", ""), manifest)
    state.webhook_url = manifest["hook_attributes"]["url"]
    query = urlencode({"code": code, "state": request.query.get("state", "")})
    return Response(302, headers={"Location": f"{manifest['redirect_url']}?{query}"})


def convert(state: State, request: Request) -> Response:
    """Give the credentials of the App for a code, once and within an hour."""
    made_at, _, manifest = state.manifests.pop(request.parameters["code"], (-float("inf"), "", {}))
    if time.monotonic() > made_at + CODE_SECONDS:
        raise not_found()
    app = state.app
    secret = {
        "client_id": "Iv23liSandbox",
        "client_secret": secrets.token_hex(20),
        "webhook_secret": app.webhook_secret,
        "pem": app.private_key,
    }
    return Response(201, app_json(app, 0) | {"name": manifest.get("name", "")} | secret)
