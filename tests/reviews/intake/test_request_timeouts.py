"""Requests wait for the database for a bounded time, and nothing else does. tests/e2e has real faults."""

import socket

import pytest
from django.db import connection, connections

from reviews.intake.request_timeouts import database_time_limit


def patience_of_the_connection() -> object:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout" if connection.vendor == "sqlite" else "SHOW statement_timeout")
        return cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_the_bounds_of_a_request_end_with_it_even_if_it_fails() -> None:
    before = patience_of_the_connection()

    with database_time_limit():
        assert patience_of_the_connection() in (3000, "3s")
    assert patience_of_the_connection() == before
    with pytest.raises(ZeroDivisionError), database_time_limit():
        _ = 1 / 0
    assert patience_of_the_connection() == before


@pytest.mark.skipif(connections["default"].vendor != "postgresql", reason="SQLite is not reached over a network")
@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no bound for what is not received")
@pytest.mark.django_db
def test_a_vanished_server_is_noticed_before_a_lease_ends() -> None:
    """Seconds are what is set for this very connection; a network cannot be cut here."""
    connection.ensure_connection()
    with socket.fromfd(connection.connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as wire:
        option = wire.getsockopt
        assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle = option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        others = option(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) * option(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        assert idle + others <= 30
        assert 0 < option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000
