"""Throttle log-ins: after `MAX_FAILURES` a name is blocked from an address for `WAIT_SECONDS`.

docs/decisions/0005-log-in-throttling.md says why this is not a library.
"""

import hashlib
import ipaddress
from typing import Any, NoReturn

from django.conf import settings
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
WAIT_SECONDS = 15 * 60
"""Counted from the first failure. Further attempts do not extend it."""


class Throttle:
    """An authentication backend that authenticates nobody. It runs first and rejects a blocked name.

    An attempt is counted before the password is checked, so that parallel attempts do not exceed the limit.
    """

    def authenticate(self, request: HttpRequest | None, username: str | None = None, **credentials: Any) -> None:
        """Count an attempt. Past `MAX_FAILURES` raises `PermissionDenied`, so that Django asks no other backend."""
        if request is None or username is None:
            return
        if cache.count(_key(request, username), WAIT_SECONDS) > MAX_FAILURES:
            _deny(request)


def _deny(request: HttpRequest) -> NoReturn:
    request.too_many_log_ins = True  # type: ignore[attr-defined]
    raise PermissionDenied


@receiver(user_logged_in)
def forget_failures(request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """Reset the count after a successful log-in."""
    if request is not None:
        cache.release(_key(request, user.get_username()))


@never_cache
def log_in(request: HttpRequest) -> HttpResponse:
    """Serve the admin's log-in page, or 429 with an explanation for a blocked name."""
    response = admin.site.login(request)
    if getattr(request, "too_many_log_ins", False):
        page = render(request, "too_many_log_ins.html", {"minutes": WAIT_SECONDS // 60}, status=429)
        page["Retry-After"] = str(WAIT_SECONDS)
        return page
    return response


def client_address(request: HttpRequest) -> str:
    """Return the client's address as the outermost trusted proxy (`KODIAI_PROXIES`) saw it.

    Entries to its left in X-Forwarded-For are set by the client and are ignored.
    """
    seen = [address.strip() for address in request.headers.get("X-Forwarded-For", "").split(",")]
    proxies = settings.KODIAI_PROXIES
    return seen[-proxies] if 0 < proxies <= len(seen) else str(request.META.get("REMOTE_ADDR", ""))


def _key(request: HttpRequest, username: str) -> str:
    """Return the cache key of a name and an address. IPv6 counts by /64, because one client owns the whole network."""
    address = client_address(request)
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        pass
    else:
        address = str(ipaddress.ip_network(f"{address}/64", strict=False) if parsed.version == 6 else parsed)
    return "log-in:" + hashlib.sha256(f"{username.lower()}\n{address}".encode()).hexdigest()
