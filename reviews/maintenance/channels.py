"""How a notification is sent: a signed webhook, Slack's form of one, e-mail. Each raises `NotSent`."""

import hashlib
import hmac
import json
import smtplib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import httpx
from django.conf import settings
from django.core.mail import send_mail

TIMEOUT = httpx.Timeout(5)
"""Seconds to connect, to write, and to wait for the answer, of which only the status is read."""
SIGNATURE_HEADER = "X-Kodiai-Signature-256"


class NotSent(Exception):
    """A channel has not taken a message. The reason names no address, which may be a secret."""


@dataclass(frozen=True)
class Message:
    """The beginning or the end of something that is wrong. `id` is the same for both, and each time it is sent."""

    id: str
    kind: str
    ended: bool
    since: datetime
    title: str
    text: str

    @property
    def subject(self) -> str:
        """One line for people."""
        return f"Kodiai: over: {self.title}" if self.ended else f"Kodiai: {self.title}"


def send_webhook(message: Message) -> None:
    """Post JSON, signed if there is a secret."""
    body = json.dumps(
        {
            "id": message.id,
            "kind": message.kind,
            "state": "ended" if message.ended else "begun",
            "since": message.since.isoformat(),
            "title": message.title,
            "text": message.text,
        }
    ).encode()
    headers = {}
    if secret := settings.KODIAI_NOTIFY_SECRET:
        headers[SIGNATURE_HEADER] = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    _post(settings.KODIAI_NOTIFY_URL, body, headers)


def send_slack(message: Message) -> None:
    """Post a text. Slack's three control characters are escaped: texts of strangers mention nobody."""
    text = f"{message.subject}\n{message.text}"
    for character, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, escaped)
    _post(settings.KODIAI_NOTIFY_SLACK_URL, json.dumps({"text": text}).encode(), {})


def send_email(message: Message) -> None:
    """Send a mail to each address that is set."""
    try:
        text = f"{message.text}\n\nSince {message.since:%Y-%m-%d %H:%M:%S} UTC. Kind: {message.kind}\n"
        send_mail(message.subject, text, None, settings.KODIAI_NOTIFY_EMAIL)
    except (smtplib.SMTPException, OSError) as error:
        raise NotSent(f"the mail server: {type(error).__name__}") from error


def configured() -> Mapping[str, Callable[[Message], None]]:
    """Return the channels that are set up, by name."""
    channels: dict[str, tuple[object, Callable[[Message], None]]] = {
        "webhook": (settings.KODIAI_NOTIFY_URL, send_webhook),
        "slack": (settings.KODIAI_NOTIFY_SLACK_URL, send_slack),
        "email": (settings.KODIAI_NOTIFY_EMAIL, send_email),
    }
    return {name: send for name, (is_set, send) in channels.items() if is_set}


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    sent = {"Content-Type": "application/json", "User-Agent": "Kodiai", **headers}
    try:
        with httpx.stream("POST", url, content=body, headers=sent, timeout=TIMEOUT) as response:
            if not response.is_success:
                raise NotSent(f"answered with status {response.status_code}")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotSent(type(error).__name__) from error
