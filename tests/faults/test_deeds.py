"""A fault that has ended leaves nothing behind but what services made of it."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Timer
from types import SimpleNamespace
from typing import Any

from coterie_local.postgres import EmbeddedPostgres
from tests.faults.storm.deeds_parts import FullDisk
from tests.faults.storm.plan import Fault
from tests.faults.storm.records import Injected


def test_a_full_disk_has_ended_when_postgresql_writes_again(tmp_path: Path) -> None:
    """Also where PostgreSQL lives when there is room again, and ends a moment later."""
    server = EmbeddedPostgres(tmp_path)
    server.start()
    arena: Any = SimpleNamespace(server=server, postgres_folder=tmp_path)
    no_load: Any = None
    deed = FullDisk(arena, no_load, Fault("postgres:full", "", 1, 0.0), Injected())
    try:
        deed.balloon.touch()
        postmaster = server._child
        assert postmaster is not None
        for number in (signal.SIGSTOP, signal.SIGQUIT):
            postmaster.send(number)
        Timer(0.3, postmaster.send, [signal.SIGCONT]).start()
        deed.end()

        assert not postmaster.alive
        assert server.version
        assert not deed.balloon.exists()
    finally:
        server.stop()
