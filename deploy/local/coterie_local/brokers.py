"""The broker that `--kafka` names: embedded, a local Apache Kafka, or one that runs elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from aiokafka.errors import KafkaError

from coterie_replay.brokers.apache import ApacheKafka, cluster_id_of
from coterie_replay.brokers.blocking import block_on
from coterie_replay.brokers.embedded import EmbeddedKafka
from coterie_replay.brokers.processes import LocalFault
from coterie_replay.brokers.topics import create_topics

__all__ = ["OWN_PARTITIONS", "Broker", "broker_of", "is_address"]

OWN_PARTITIONS: Final = 4
_PORTS: Final = range(1, 65_536)


class Broker(Protocol):
    """A broker with all topics once it is started; every call blocks."""

    @property
    def bootstrap(self) -> str: ...

    @property
    def forgets(self) -> bool:
        """Whether it loses everything when it stops."""
        ...

    @property
    def alive(self) -> bool: ...

    def describe(self) -> str:
        """What it is, for people."""
        ...

    def start(self) -> None:
        """Raises `LocalFault` when it does not come up."""
        ...

    def stop(self) -> None: ...


def broker_of(choice: str, data: Path, *, partitions: int | None = None) -> Broker:
    """The broker for `embedded`, `apache` or `HOST:PORT`; raises `LocalFault` for anything else.

    A broker of this machine's own gets fewer partitions than the table of topics says: a service
    runs once here, and every partition costs its consumers a little all the time.
    """
    if choice == "embedded":
        return _Embedded(EmbeddedKafka(data / "embedded", partitions=partitions or OWN_PARTITIONS))
    if choice == "apache":
        return _Apache(ApacheKafka(data / "apache"), partitions or OWN_PARTITIONS)
    if not is_address(choice):
        raise LocalFault(f"--kafka {choice!r} is none of: embedded, apache, HOST:PORT")
    return _External(choice, partitions)


def is_address(text: str) -> bool:
    """Whether it reads as HOST:PORT, or as several with commas between."""
    parts = (part.rpartition(":") for part in text.split(","))
    return all(host and port.isdigit() and int(port) in _PORTS for host, _, port in parts)


class _Embedded:
    forgets = True

    def __init__(self, broker: EmbeddedKafka) -> None:
        self._broker = broker

    @property
    def bootstrap(self) -> str:
        return self._broker.bootstrap

    @property
    def alive(self) -> bool:
        return self._broker.alive

    def describe(self) -> str:
        return f"embedded broker (librdkafka {self._broker.version}) on {self.bootstrap}"

    def start(self) -> None:
        self._broker.start()

    def stop(self) -> None:
        self._broker.stop()


class _Apache:
    forgets = False

    def __init__(self, broker: ApacheKafka, partitions: int | None) -> None:
        self._broker = broker
        self._partitions = partitions

    @property
    def bootstrap(self) -> str:
        return self._broker.bootstrap

    @property
    def alive(self) -> bool:
        return self._broker.alive

    def describe(self) -> str:
        return f"Apache Kafka {self._broker.version} on {self.bootstrap}"

    def start(self) -> None:
        self._broker.start()
        try:
            block_on(create_topics(self.bootstrap, partitions=self._partitions))
        except BaseException:
            self._broker.stop()
            raise

    def stop(self) -> None:
        self._broker.stop()


class _External:
    forgets = False
    alive = True

    def __init__(self, bootstrap: str, partitions: int | None) -> None:
        self._bootstrap = bootstrap
        self._partitions = partitions

    @property
    def bootstrap(self) -> str:
        return self._bootstrap

    def describe(self) -> str:
        return f"Kafka on {self._bootstrap}, cluster {cluster_id_of(self._bootstrap)}"

    def start(self) -> None:
        try:
            block_on(create_topics(self._bootstrap, partitions=self._partitions))
        except (OSError, KafkaError) as error:
            raise LocalFault(
                f"no Kafka answers at {self._bootstrap} ({type(error).__name__}): start it, or "
                "pass another --kafka"
            ) from None

    def stop(self) -> None:
        """It is not ours to stop."""
