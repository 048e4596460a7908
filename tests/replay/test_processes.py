"""What brokers that tests start of their own stand on."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from coterie_replay.brokers.processes import free_port, port_is_free

HANDED_OUT = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.mark.skipif(not HANDED_OUT.exists(), reason="only Linux tells its ports here")
def test_no_outgoing_connection_is_given_a_port_that_was_chosen() -> None:
    first, last = map(int, HANDED_OUT.read_text().split())

    chosen = [free_port() for _ in range(200)]

    assert not [port for port in chosen if first <= port <= last]
    assert len(set(chosen)) == len(chosen), "two servers that have not started yet do not meet"


def test_a_port_that_is_taken_is_not_free() -> None:
    port = free_port()

    with socket.create_server(("127.0.0.1", port)):
        assert not port_is_free(port)
    assert port_is_free(port)
