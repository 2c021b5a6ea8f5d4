"""Throttle log-ins: after `MAX_FAILURES` a name is blocked from an address for `WAIT_SECONDS`.

After `MAX_FAILURES_OF_ADDRESS` the address is, whatever the names. The front door (`kodiai.asgi`) hashes passwords one
at a time, and has set REMOTE_ADDR to the client's address as a named proxy saw it.

docs/decisions/0005-log-in-throttling.md says why this is not a library.
"""

import hashlib
import ipaddress
from typing import Any, NoReturn

from django.contrib import admin
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import PermissionDenied
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from reviews import cache

MAX_FAILURES = 5
"""Failed attempts for a name from an address before it is blocked."""
MAX_FAILURES_OF_ADDRESS = 20
"""Failed attempts from an address, for any names, before it is blocked."""
WAIT_SECONDS = 15 * 60
"""Counted from the first failure. Further attempts do not extend it."""


class Throttle:
    """An authentication backend that authenticates nobody. It runs first and rejects a blocked name.

    An attempt is counted before the password is checked, so that parallel attempts do not exceed the limit.
    """

    def authenticate(self, request: HttpRequest | None, username: str | None = None, **credentials: Any) -> None:
        """Count an attempt. Past a limit raises `PermissionDenied`, so that Django asks no other backend."""
        if request is None or username is None:
            return
        # The address first: a blocked one leaves no more names in the cache.
        if cache.count(_address_key(request), WAIT_SECONDS) > MAX_FAILURES_OF_ADDRESS:
            _deny(request)
        if cache.count(_name_key(request, username), WAIT_SECONDS) > MAX_FAILURES:
            _deny(request)


def _deny(request: HttpRequest) -> NoReturn:
    request.too_many_log_ins = True  # type: ignore[attr-defined]
    raise PermissionDenied


@receiver(user_logged_in)
def forget_failures(request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """Reset the name's count after a successful log-in; the address's failures with other names stay counted."""
    if request is not None:
        cache.release(_name_key(request, user.get_username()))
        cache.uncount(_address_key(request))


@never_cache
def log_in(request: HttpRequest) -> HttpResponse:
    """Serve the admin's log-in page, or 429 with an explanation for a blocked name."""
    response = admin.site.login(request)
    if getattr(request, "too_many_log_ins", False):
        page = render(request, "too_many_log_ins.html", {"minutes": WAIT_SECONDS // 60}, status=429)
        page["Retry-After"] = str(WAIT_SECONDS)
        return page
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403, and name the cause if it is a proxy's TLS that Kodiai does not know of."""
    # A browser that opened the page over HTTPS says so in Origin, which must be the scheme that Django sees.
    is_tls_unknown = not request.is_secure() and request.headers.get("Origin", "").startswith("https://")
    return render(request, "403_csrf.html", {"is_tls_unknown": is_tls_unknown}, status=403)


def _address_key(request: HttpRequest) -> str:
    return "log-ins-from:" + _network(request)


def _name_key(request: HttpRequest, username: str) -> str:
    return "log-in:" + hashlib.sha256(f"{username.lower()}\n{_network(request)}".encode()).hexdigest()


def _network(request: HttpRequest) -> str:
    """Return the client's address. IPv6 counts by /64, because one client owns the whole network."""
    address = str(request.META.get("REMOTE_ADDR", ""))
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return hashlib.sha256(address.encode()).hexdigest()
    return str(ipaddress.ip_network(f"{address}/64", strict=False) if parsed.version == 6 else parsed)
