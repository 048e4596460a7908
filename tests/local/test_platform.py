"""The platform's parts come and go together, whatever a service or a person does.

The four services are stand-ins here, so that these tests are about processes alone.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from coterie_local import platform as platform_module
from coterie_local.data_folder import DataFolder, running_in
from coterie_local.platform import SERVICES, Options, Platform
from coterie_replay.brokers.blocking import block_on
from coterie_replay.brokers.processes import LocalFault
from tests.conftest import Broker

COTERIE = Path(sys.executable).parent / "coterie"
STAND_IN = """
import http.server, json, os, signal, sys

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(dict(os.environ)).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

if sys.argv[1] == "migrate":
    print("migrated")
elif os.environ.get("STAND_IN_FAILS") in __file__.split(os.sep):
    sys.exit("the licence has expired")
else:
    if os.environ.get("STAND_IN_IS_STUBBORN"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    port = int(os.environ["COTERIE_HTTP_PORT"])
    http.server.HTTPServer(("127.0.0.1", port), Ready).serve_forever()
"""


@pytest.fixture
def processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[psutil.Process]]:
    """Puts stand-ins in the place of the services; lists the processes of this test's platform."""
    for service in SERVICES:
        package = tmp_path / "stand-ins" / f"coterie_{service}"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(STAND_IN)
    mark = str(uuid4())
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stand-ins"))
    monkeypatch.setenv("PLATFORM_TEST", mark)

    def find() -> list[psutil.Process]:
        return [
            process
            for process in psutil.process_iter(["environ"])
            if (process.info["environ"] or {}).get("PLATFORM_TEST") == mark
            and process.pid != psutil.Process().pid
        ]

    return find


@pytest.fixture
def options(tmp_path: Path, processes: object) -> Options:
    return Options(data=tmp_path / "data", partitions=1)


def _arguments(found: list[psutil.Process]) -> set[str]:
    """All arguments of all of them; one that ended meanwhile has none."""
    arguments: set[str] = set()
    for one in found:
        with contextlib.suppress(psutil.Error):
            arguments |= set(one.cmdline())
    return arguments


def _eventually(condition: Callable[[], bool], *, within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _environment_of(platform: Platform, service: str) -> str:
    address = platform.urls[service].removeprefix("http://")
    connection = HTTPConnection(address, timeout=5)
    connection.request("GET", "/")
    return connection.getresponse().read().decode()


def test_every_part_runs_inside_the_block_and_none_after_it(
    options: Options, processes: Callable[[], list[psutil.Process]]
) -> None:
    lines: list[str] = []
    with Platform(options, report=lines.append) as platform:
        assert platform.fault() is None
        assert [line.split()[0] for line in lines[-4:]] == list(SERVICES)
        assert len(processes()) >= len(SERVICES) + 2
        databases = {platform.environment(s)["COTERIE_DATABASE_URL"] for s in SERVICES}
        assert len(databases) == len(SERVICES)
        assert '"COTERIE_REFILL_ON_START": "true"' in _environment_of(platform, "feedback")
        assert running_in(options.data) is not None
    assert processes() == []
    assert running_in(options.data) is None


def test_the_next_start_keeps_addresses_and_passwords_and_migrates_nothing(
    options: Options,
) -> None:
    with Platform(options) as first:
        urls, password = first.urls, first.environment("feedback")["COTERIE_DATABASE_URL"]
    lines: list[str] = []
    with Platform(options, report=lines.append) as second:
        assert second.urls == urls
        assert second.environment("feedback")["COTERIE_DATABASE_URL"] == password
    assert any(line.startswith("schemas are current") for line in lines)


def test_a_folder_in_use_is_refused_in_one_line_and_left_alone(options: Options) -> None:
    with Platform(options) as platform:
        with pytest.raises(LocalFault, match=r"in use by process \d+: stop .* or pass") as refused:
            Platform(options).start()
        assert "\n" not in str(refused.value)
        assert platform.fault() is None


def test_a_port_in_use_is_refused_before_anything_starts(
    options: Options, processes: Callable[[], list[psutil.Process]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalFault, match=rf"port {port} is in use and membership needs it"):
            Platform(replace(options, port_base=port)).start()
    assert processes() == []


def test_an_absent_external_broker_is_refused_in_one_line(options: Options) -> None:
    with pytest.raises(LocalFault, match=r"no Kafka answers at 127\.0\.0\.1:1 .*--kafka"):
        Platform(replace(options, kafka="127.0.0.1:1")).start()


@pytest.mark.needs_apache_kafka
def test_a_broker_that_another_platform_uses_is_refused_in_one_line(
    options: Options, kafka: Broker, topics: int
) -> None:
    elsewhere = replace(options, kafka=kafka.bootstrap, partitions=topics)
    block_on(_consume_there(kafka.bootstrap))
    with pytest.raises(LocalFault, match=r"is used by another platform.*--data") as refused:
        Platform(elsewhere).start()
    assert "\n" not in str(refused.value)
    known = DataFolder(options.data)
    known.remember("broker", {"cluster_id": kafka.cluster_id})
    with Platform(elsewhere) as platform:
        assert platform.fault() is None


async def _consume_there(bootstrap: str) -> None:
    """Leave what another platform's service leaves, and no event for other tests to meet."""
    group = "coterie.somebody.prompt"
    place = TopicPartition("community.opened", 0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group) as consumer:
        consumer.assign([place])
        await consumer.commit({place: 0})


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "neither `embedded` nor a postgresql:// URL"),
        ("postgresql://me:secret@127.0.0.1:1/x", r"127\.0\.0\.1:1/x: .*pass another --postgres"),
    ],
)
def test_an_absent_external_postgres_is_refused_in_one_line(
    url: str, said: str, options: Options, processes: Callable[[], list[psutil.Process]]
) -> None:
    with pytest.raises(LocalFault, match=said) as refused:
        Platform(replace(options, postgres=url)).start()
    assert "secret" not in str(refused.value)
    assert processes() == []


def test_an_external_postgres_gets_a_database_for_each_service(
    options: Options, postgres_url: str
) -> None:
    with Platform(replace(options, postgres=postgres_url)) as platform:
        urls = {platform.environment(service)["COTERIE_DATABASE_URL"] for service in SERVICES}
    assert len({url.rpartition("?")[0] for url in urls}) == len(SERVICES)
    assert all("coterie_" in url for url in urls)


def test_a_service_that_cannot_start_is_named_with_its_last_words(
    options: Options,
    processes: Callable[[], list[psutil.Process]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", "coterie_recognition")
    with pytest.raises(LocalFault, match=r"coterie-recognition ended .*the licence has expired"):
        Platform(options).start()
    assert processes() == []


def test_a_service_that_ends_later_is_named(options: Options) -> None:
    with Platform(options) as platform:
        platform.process("feedback").kill()
        assert str(platform.fault()).startswith("coterie-feedback ended with code -9")
        platform.restart("feedback")
        assert platform.fault() is None


def test_a_service_that_ignores_the_request_to_stop_is_killed(
    options: Options,
    processes: Callable[[], list[psutil.Process]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STAND_IN_IS_STUBBORN", "1")
    monkeypatch.setattr(platform_module, "_GRACE_S", 0.5)
    with Platform(options):
        assert processes()
    assert processes() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_in_order(
    number: signal.Signals, tmp_path: Path, processes: Callable[[], list[psutil.Process]]
) -> None:
    data = tmp_path / "data"
    command = [str(COTERIE), "up", "--empty", "--data", str(data)]
    up = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert _eventually(lambda: running_in(data) is not None)
    up.send_signal(number)
    said, _ = up.communicate(timeout=30)
    assert up.returncode == 0
    assert said.rstrip().endswith("stopped; nothing was left running")
    assert processes() == []


def test_a_signal_while_the_database_is_made_waits_for_its_processes(
    tmp_path: Path, processes: Callable[[], list[psutil.Process]]
) -> None:
    command = [str(COTERIE), "up", "--empty", "--data", str(tmp_path / "data")]
    up = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert _eventually(lambda: "--boot" in _arguments(processes()))
    up.send_signal(signal.SIGTERM)
    said, _ = up.communicate(timeout=60)
    assert up.returncode == 0
    assert said.rstrip().endswith("stopped; nothing was left running")
    assert processes() == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children of a killed parent")
def test_a_killed_command_leaves_no_process_and_its_folder_starts_again(
    tmp_path: Path, options: Options, processes: Callable[[], list[psutil.Process]]
) -> None:
    command = [str(COTERIE), "up", "--empty", "--data", str(options.data)]
    up = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    assert _eventually(lambda: running_in(options.data) is not None)
    up.kill()
    up.wait()
    assert _eventually(lambda: processes() == [])
    with Platform(options) as again:
        assert again.fault() is None
