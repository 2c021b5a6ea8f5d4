"""The App's webhook: signing, sending, redelivery, and the list of deliveries.

Sources: GitHub docs, "Validating webhook deliveries", "Webhook events and payloads" (delivery headers) and "Handling
failed webhook deliveries".
"""

import contextlib
import hashlib
import hmac
import http.client
import json
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sandbox.app import App, Json, timestamp

RESPONSE_SECONDS = 10
"""GitHub's time limit for a receiver's response. Source: GitHub docs, "Best practices for using webhooks"."""

NO_CONNECTION, NO_RESPONSE = 502, 504
"""Status codes in the list of deliveries where there was no response. GitHub does not document them."""


@dataclass(frozen=True)
class WebhookRequest:
    """A signed webhook: the exact body, and GitHub's headers."""

    body: bytes
    headers: dict[str, str]

    @property
    def delivery_id(self) -> str:
        """The value of X-GitHub-Delivery."""
        return self.headers["X-GitHub-Delivery"]


@dataclass(frozen=True)
class WebhookResponse:
    """The receiver's response. `status_code` is 0 if it could not be reached or did not respond in time."""

    status_code: int
    body: bytes
    headers: Mapping[str, str]
    """Names in lower case."""
    delivery_id: str

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Parse the body as JSON. Raises ValueError."""
        return json.loads(self.body)


@dataclass(frozen=True)
class HookDelivery:
    """One attempt to deliver a webhook. A redelivery is another attempt with the same `guid`."""

    id: int
    guid: str
    url: str
    event: str
    request: WebhookRequest = field(repr=False)
    delivered_at: datetime
    duration: float
    """Seconds."""
    redelivery: bool
    status: str
    status_code: int

    def json(self) -> Json:
        """Return an entry of "List deliveries for an app webhook"."""
        try:
            body = json.loads(self.request.body)
        except ValueError:
            body = None
        body = body if isinstance(body, dict) else {}
        return {
            "id": self.id,
            "guid": self.guid,
            "delivered_at": timestamp(self.delivered_at),
            "redelivery": self.redelivery,
            "duration": self.duration,
            "status": self.status,
            "status_code": self.status_code,
            "event": self.event,
            "action": _text(body.get("action")),
            "installation_id": _id(body.get("installation")),
            "repository_id": _id(body.get("repository")),
            "throttled_at": None,
        }


def sign(secret: str, body: bytes) -> str:
    """Return the value of X-Hub-Signature-256."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def webhook_request(
    app: App, event: str, payload: Json | bytes, delivery_id: str | None = None, secret: str | None = None
) -> WebhookRequest:
    """Sign a payload, by default with the App's secret. Bytes are sent unchanged."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()
    secret = app.webhook_secret if secret is None else secret
    headers = {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Delivery": str(uuid.uuid4()) if delivery_id is None else delivery_id,
        "X-GitHub-Event": event,
        "X-GitHub-Hook-ID": str(app.id),
        "X-GitHub-Hook-Installation-Target-ID": str(app.id),
        "X-GitHub-Hook-Installation-Target-Type": "integration",
        "X-Hub-Signature": "sha1=" + hmac.new(secret.encode(), body, hashlib.sha1).hexdigest(),
        "X-Hub-Signature-256": sign(secret, body),
    }
    return WebhookRequest(body, headers)


class Hook:
    """Sends webhooks and records every attempt."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.response_seconds: float = RESPONSE_SECONDS
        self._deliveries: list[HookDelivery] = []
        self._senders: set[threading.Thread] = set()
        self._connections: set[http.client.HTTPConnection] = set()
        self._lock = threading.Lock()

    @property
    def deliveries(self) -> list[HookDelivery]:
        """Every attempt, newest first."""
        with self._lock:
            return self._deliveries[::-1]

    def send(self, url: str, event: str, request: WebhookRequest, *, redelivery: bool = False) -> WebhookResponse:
        """POST a webhook and record the attempt. Errors of the receiver raise nothing."""
        delivered_at, started = datetime.now(UTC), time.monotonic()
        status = ""
        try:
            response = self._post(url, request)
            status_code = response.status_code
            # Source of "OK": GitHub docs, "Automatically redelivering failed deliveries for a GitHub App webhook".
            status = "OK" if 200 <= status_code < 300 else f"Invalid HTTP Response: {status_code}"
        except TimeoutError:
            response = WebhookResponse(0, b"", {}, request.delivery_id)
            status, status_code = "timed out", NO_RESPONSE
        except (OSError, http.client.HTTPException):
            response = WebhookResponse(0, b"", {}, request.delivery_id)
            status, status_code = "failed to connect to host", NO_CONNECTION
        with self._lock:
            self._deliveries.append(
                HookDelivery(
                    id=self._app.next_id(),
                    guid=request.delivery_id,
                    url=url,
                    event=event,
                    request=request,
                    delivered_at=delivered_at,
                    duration=round(time.monotonic() - started, 2),
                    redelivery=redelivery,
                    status=status,
                    status_code=status_code,
                )
            )
        return response

    def backdate(self, by: timedelta) -> None:
        """Move the time of every attempt so far into the past."""
        with self._lock:
            self._deliveries = [replace(each, delivered_at=each.delivered_at - by) for each in self._deliveries]

    def redeliver(self, number: int) -> bool:
        """Send a delivery again, in the background. Return False if there is none with this id."""
        delivery = next((delivery for delivery in self.deliveries if delivery.id == number), None)
        if delivery is None:
            return False

        def send_again() -> None:
            self.send(delivery.url, delivery.event, delivery.request, redelivery=True)

        sender = threading.Thread(target=send_again, name=f"redelivery-{number}", daemon=True)
        with self._lock:
            self._senders = {thread for thread in self._senders if thread.is_alive()} | {sender}
            sender.start()
        return True

    def wait_for_redeliveries(self) -> None:
        """Wait until every requested redelivery has been sent. Raises TimeoutError where a response takes too long."""
        until = time.monotonic() + self.response_seconds
        with self._lock:
            senders = list(self._senders)
        for sender in senders:
            sender.join(max(until - time.monotonic(), 0))
            if sender.is_alive():
                raise TimeoutError(f"{sender.name} has not ended after {self.response_seconds} s")

    def close(self) -> None:
        """Close the connections to receivers that have not responded, and wait for the redeliveries."""
        with self._lock:
            for connection in self._connections:
                if connection.sock is not None:
                    with contextlib.suppress(OSError):
                        connection.sock.shutdown(socket.SHUT_RDWR)
        self.wait_for_redeliveries()

    def _post(self, url: str, request: WebhookRequest) -> WebhookResponse:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self.response_seconds)
        with self._lock:
            self._connections.add(connection)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body=request.body, headers=request.headers)
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return WebhookResponse(response.status, response.read(), headers, request.delivery_id)
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()


def _id(value: Any) -> int | None:
    number = value.get("id") if isinstance(value, dict) else None
    return number if isinstance(number, int) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
