"""librdkafka's mock cluster as a broker in a process of its own: Kafka's protocol from pip alone.

It keeps everything in memory and forgets it at the end: services refill it from their archives.
One member a consumer group, no admin requests but metadata; enough for a demo, not for tests of
rebalances. The C API is used directly, so that topics get the partition counts of their table.
API: https://github.com/confluentinc/librdkafka/blob/v2.14.0/src/rdkafka_mock.h
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from coterie_contracts.topics import TOPICS
from coterie_replay.brokers.processes import Child, LocalFault, start, wait_until

__all__ = ["EmbeddedKafka", "MockCluster"]

_READY_S: Final = 20.0
_STOP_S: Final = 5.0
_PARENT_CHECK_S: Final = 1.0
_KNOCK_S: Final = 0.005
_PRODUCER: Final = 0


class MockCluster:
    """A mock cluster of one broker with the given topics, for as long as this process lives.

    Raises `LocalFault` when the bundled librdkafka is missing or refuses.
    """

    def __init__(self, topics: dict[str, int]) -> None:
        self._library = _load()
        error = ctypes.create_string_buffer(512)
        configuration = self._library.rd_kafka_conf_new()
        self._client = self._library.rd_kafka_new(
            _PRODUCER, configuration, error, ctypes.c_size_t(len(error))
        )
        if not self._client:
            raise LocalFault(f"librdkafka does not start: {error.value.decode(errors='replace')}")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        if not self._cluster:
            raise LocalFault("librdkafka gives no mock cluster")
        with _kept_awake(self.bootstrap):
            self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
            for name, partitions in topics.items():
                code = self._library.rd_kafka_mock_topic_create(
                    self._cluster, name.encode(), partitions, 1
                )
                if code:
                    raise LocalFault(f"librdkafka refuses topic {name}: error {code}")

    @property
    def bootstrap(self) -> str:
        """`host:port` of the broker."""
        address: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return address.decode()


class EmbeddedKafka:
    """The mock cluster in a child process. All methods block."""

    def __init__(self, data: Path, *, partitions: int | None = None) -> None:
        self.data = data
        self._partitions = partitions
        self._child: Child | None = None
        self._bootstrap = ""

    @property
    def bootstrap(self) -> str:
        return self._bootstrap

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    @property
    def version(self) -> str:
        """The version of the librdkafka whose mock cluster this is."""
        library = _load()
        library.rd_kafka_version_str.restype = ctypes.c_char_p
        told: bytes = library.rd_kafka_version_str()
        return told.decode()

    def start(self) -> None:
        """Start and return when clients are served, at a new address. Raises `LocalFault`."""
        self.data.mkdir(parents=True, exist_ok=True)
        address = self.data / "address"
        address.unlink(missing_ok=True)
        command = [sys.executable, "-m", "coterie_replay.brokers.embedded"]
        command += ["--port-file", str(address)]
        if self._partitions is not None:
            command += ["--partitions", str(self._partitions)]
        self._child = start("the embedded broker", command, log=self.data / "broker.log")
        try:
            wait_until(address.exists, child=self._child, timeout_s=_READY_S, what="it was ready")
        except BaseException:
            self.stop()
            raise
        self._bootstrap = address.read_text()

    def stop(self) -> None:
        """Stop it and lose all that it holds; does nothing when it is not running."""
        if self._child is not None:
            self._child.stop(_STOP_S)
            self._child = None


@contextmanager
def _kept_awake(bootstrap: str) -> Iterator[None]:
    """Knock on the broker's port while requests are made to its thread.

    Now and then that thread misses the wake-up of such a request and sleeps for up to 10 s; a
    connection wakes it for certain.
    """
    done = threading.Event()

    def knock() -> None:
        host, _, port = bootstrap.rpartition(":")
        while not done.wait(_KNOCK_S):
            with suppress(OSError), socket.create_connection((host, int(port)), timeout=1.0):
                pass

    knocking = threading.Thread(target=knock, daemon=True)
    knocking.start()
    try:
        yield
    finally:
        done.set()
        knocking.join()


def _load() -> ctypes.CDLL:
    """The librdkafka that the confluent-kafka wheel brings, with the types of what we call."""
    spec = importlib.util.find_spec("confluent_kafka")
    package = Path(spec.origin).parent if spec and spec.origin else Path()
    candidates = [
        *package.parent.glob("confluent_kafka.libs/librdkafka*"),
        *package.glob(".dylibs/librdkafka*"),
    ]
    if not candidates:
        raise LocalFault(
            "the wheel of confluent-kafka has no librdkafka for this system: "
            "take --kafka apache or --kafka HOST:PORT"
        )
    library = ctypes.CDLL(str(candidates[0]))
    library.rd_kafka_conf_new.restype = ctypes.c_void_p
    library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_new.argtypes = [
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
    ]
    library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_new.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [ctypes.c_void_p]
    library.rd_kafka_mock_group_initial_rebalance_delay_ms.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int32,
    ]
    library.rd_kafka_mock_topic_create.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_int,
    ]
    return library


def main() -> None:
    """Serve until SIGTERM, or until the process that started us is gone."""
    parser = argparse.ArgumentParser(description="An in-memory broker that speaks Kafka.")
    parser.add_argument("--port-file", type=Path, required=True, help="receives host:port")
    parser.add_argument("--partitions", type=int, help="of every topic; the table's without")
    arguments = parser.parse_args()
    parent = os.getppid()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    cluster = MockCluster(
        {topic.name: arguments.partitions or topic.partitions for topic in TOPICS}
    )
    partial: Path = arguments.port_file.with_suffix(".new")
    partial.write_text(cluster.bootstrap)
    partial.rename(arguments.port_file)
    while not ended.wait(_PARENT_CHECK_S) and os.getppid() == parent:
        pass


if __name__ == "__main__":
    main()
