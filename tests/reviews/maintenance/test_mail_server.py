"""Notifications reach a real mail server by each kind of address, and one that refuses them is tried again."""

import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from django.utils import timezone
from pytest_django import Settings

from kodiai.configuration.addresses import MailServer
from reviews.maintenance.notifications import notify
from reviews.models import Notification
from tests.support.factories import GitHubOutageFactory
from tests.support.proxies import make_certificate
from tests.support.running_kodiai import free_port

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")]

USER, PASSWORD = "mona", "p@ss:w/rd"
QUOTED = "p%40ss%3Aw%2Frd"


class Inbox:
    """What a mail server has taken, and how it was sent."""

    def __init__(self) -> None:
        self.mails: list[tuple[Envelope, Session]] = []
        self.refused = ""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, or refuse it."""
        if address == self.refused:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail."""
        self.mails.append((envelope, session))
        return "250 OK"


def is_mona(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    """Check a log-in, as aiosmtpd's authenticator."""
    return AuthResult(success=data == LoginPassword(USER.encode(), PASSWORD.encode()), handled=False)


@contextmanager
def mail_server(scheme: str, certificate: tuple[Path, Path], inbox: Inbox) -> Iterator[int]:
    """A mail server for the clients of a scheme; yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    login = {"auth_required": True, "authenticator": is_mona}
    options: dict[str, Any] = {
        "smtp": {"tls_context": context, "require_starttls": True, **login},
        "smtps": {"ssl_context": context, "auth_require_tls": False, **login},
        "smtp+plain": {},
    }[scheme]
    server = Controller(inbox, hostname="localhost", port=free_port(), **options)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of `localhost`, and its key."""
    return make_certificate(tmp_path_factory.mktemp("mail"))


@pytest.fixture(autouse=True)
def mails_are_wanted(settings: Settings, monkeypatch: pytest.MonkeyPatch, certificate: tuple[Path, Path]) -> None:
    """Something is wrong, and two people hear of it by mail; the machine trusts the server's certificate."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.KODIAI_NOTIFY_EMAIL = ["ops@example.org", "more@example.org"]
    settings.DEFAULT_FROM_EMAIL = "kodiai@example.org"
    settings.EMAIL_TIMEOUT = 0.5
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    GitHubOutageFactory(since=timezone.now() - timedelta(minutes=6))


def address_of(scheme: str, port: int) -> str:
    """The address of the mail server for a scheme."""
    return f"{scheme}://localhost:{port}" if scheme == "smtp+plain" else f"{scheme}://{USER}:{QUOTED}@localhost:{port}"


def use(settings: Settings, address: str) -> None:
    """Set `KODIAI_MAIL_SERVER`, as the settings module does."""
    for name, value in MailServer().parse(address).items():
        setattr(settings, name, value)


@pytest.mark.parametrize("scheme", ["smtp", "smtps", "smtp+plain"])
def test_a_mail_is_taken(settings: Settings, certificate: tuple[Path, Path], scheme: str) -> None:
    inbox = Inbox()
    with mail_server(scheme, certificate, inbox) as port:
        use(settings, address_of(scheme, port))
        assert notify() == {"notifications sent": 1, "notifications failed": 0}
    ((envelope, session),) = inbox.mails
    assert envelope.mail_from == "kodiai@example.org"
    assert envelope.rcpt_tos == ["ops@example.org", "more@example.org"]
    assert isinstance(envelope.content, bytes)
    assert b"Subject: Kodiai: GitHub cannot be reached" in envelope.content
    assert bool(session.authenticated) == (scheme != "smtp+plain")
    assert (session.ssl is not None) == (scheme == "smtp")


@pytest.mark.parametrize(
    ("served", "used", "failure"),
    [
        ("smtp", "smtp://mona:wrong@localhost", "SMTPAuthenticationError"),
        ("smtp", "smtp+plain://localhost", "SMTPSenderRefused"),
        ("smtp+plain", "smtp://localhost", "SMTPNotSupportedError"),
        ("smtps", f"smtp://{USER}:{QUOTED}@localhost", "SMTPServerDisconnected"),
        ("smtp", f"smtp://{USER}:{QUOTED}@127.0.0.1", "SSLCertVerificationError"),
    ],
)
def test_a_server_that_does_not_fit_is_named_and_tried_again(
    settings: Settings,
    certificate: tuple[Path, Path],
    caplog: pytest.LogCaptureFixture,
    served: str,
    used: str,
    failure: str,
) -> None:
    """Neither the row nor the log has the password."""
    inbox = Inbox()
    with mail_server(served, certificate, inbox) as port, caplog.at_level(logging.DEBUG):
        use(settings, f"{used}:{port}")
        assert notify() == {"notifications sent": 0, "notifications failed": 1}
        noted = Notification.objects.get().failure
        assert noted == f"email: the mail server: {failure}"
        assert "wrong" not in caplog.text
        assert PASSWORD not in caplog.text
        use(settings, address_of(served, port))
        assert notify() == {"notifications sent": 1, "notifications failed": 0}
    assert len(inbox.mails) == 1


def test_one_refused_address_keeps_the_mail_from_nobody_else(
    settings: Settings, certificate: tuple[Path, Path]
) -> None:
    inbox = Inbox()
    inbox.refused = "more@example.org"
    with mail_server("smtp+plain", certificate, inbox) as port:
        use(settings, f"smtp+plain://localhost:{port}")
        notify()
    assert [envelope.rcpt_tos for envelope, _ in inbox.mails] == [["ops@example.org"]]


def test_a_server_that_is_silent_is_not_waited_for(settings: Settings) -> None:
    with socket.create_server(("localhost", 0)) as listening:
        use(settings, f"smtp+plain://localhost:{listening.getsockname()[1]}")
        assert notify() == {"notifications sent": 0, "notifications failed": 1}
    assert Notification.objects.get().failure == "email: the mail server: SMTPServerDisconnected"
