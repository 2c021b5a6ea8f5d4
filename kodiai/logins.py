"""Log-ins are throttled: after some failures a name can't be tried from an address for a while.

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
"""Wrong passwords for a name from an address before it has to wait."""
WAIT_SECONDS = 15 * 60
"""From the first of the failures. A try while it waits does not make it longer."""


class Throttle:
    """An authentication backend that knows nobody. It comes first and ends the log-in when there were too many tries.

    A try is counted before the password is looked at, so that many at once get no more tries than one after another.
    """

    def authenticate(self, request: HttpRequest | None, username: str | None = None, **credentials: Any) -> None:
        """Count a try. Raises `PermissionDenied`, at which Django asks no other backend, past `MAX_FAILURES`."""
        if request is None or username is None:
            return
        if cache.count(_key(request, username), WAIT_SECONDS) > MAX_FAILURES:
            _deny(request)


def _deny(request: HttpRequest) -> NoReturn:
    request.too_many_log_ins = True  # type: ignore[attr-defined]
    raise PermissionDenied


@receiver(user_logged_in)
def forget_failures(request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """A right password ends the count."""
    if request is not None:
        cache.release(_key(request, user.get_username()))


@never_cache
def log_in(request: HttpRequest) -> HttpResponse:
    """The admin's log-in page; 429 and what to do where the name was tried too often."""
    response = admin.site.login(request)
    if getattr(request, "too_many_log_ins", False):
        page = render(request, "too_many_log_ins.html", {"minutes": WAIT_SECONDS // 60}, status=429)
        page["Retry-After"] = str(WAIT_SECONDS)
        return page
    return response


def client_address(request: HttpRequest) -> str:
    """The address of who asks: the one that the outermost of our own proxies (`KODIAI_PROXIES`) saw.

    What stands left of it in X-Forwarded-For was written by whoever wanted to, and is not believed.
    """
    seen = [address.strip() for address in request.headers.get("X-Forwarded-For", "").split(",")]
    proxies = settings.KODIAI_PROXIES
    return seen[-proxies] if 0 < proxies <= len(seen) else request.META.get("REMOTE_ADDR", "")


def _key(request: HttpRequest, username: str) -> str:
    """One key for a name and an address; of IPv6 for a network, because one person has billions of addresses."""
    address = client_address(request)
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        pass
    else:
        address = str(ipaddress.ip_network(f"{address}/64", strict=False) if parsed.version == 6 else parsed)
    return "log-in:" + hashlib.sha256(f"{username.lower()}\n{address}".encode()).hexdigest()
