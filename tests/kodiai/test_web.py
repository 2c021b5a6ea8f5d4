"""The web server fails at start with a clear message."""

import socket

import pytest
from django.core.management import CommandError, call_command


@pytest.mark.django_db
def test_a_port_in_use_is_reported_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            CommandError, match=f"^Port {port} is already in use. Set another one with PORT or --port.$"
        ):
            call_command("run", port=port)
