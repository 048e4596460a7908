"""Waits on a broker for what a service under test publishes, and shows what came instead.

All topics of the test are read from their beginning, so nothing is missed that was published
before the test began to wait. What the test itself played does not count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing
from functools import cached_property
from typing import Any, Final

from pydantic_core import from_json

from coterie_contracts.envelope import Event, decode
from coterie_contracts.model import EventBody
from coterie_replay.log import Log
from coterie_replay.record import Record

__all__ = ["Published", "Seen"]

_WITHIN_S: Final = 10.0
_SETTLE_S: Final = 0.02
_SHOWN: Final = 10
_LONGEST: Final = 160


class Seen:
    """A record that came, with its parts as one reads them."""

    def __init__(self, record: Record) -> None:
        self.record = record

    @property
    def topic(self) -> str:
        """Without the test's prefix."""
        return self.record.topic

    @cached_property
    def data(self) -> Any:
        """The value's JSON, None for a tombstone; the bytes where it is no JSON."""
        value = self.record.value
        try:
            return None if value is None else from_json(value)
        except ValueError:
            return value

    @cached_property
    def event(self) -> Event[EventBody]:
        """The event that the contracts know. Raises `Unreadable` where it is none."""
        return decode(self.record.topic, self.record.headers, self.record.value)

    def __str__(self) -> str:
        record = self.record
        value = "tombstone" if record.value is None else record.value.decode(errors="replace")
        short = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
        key = "no key" if record.key is None else f"key {record.key.decode(errors='replace')}"
        return f"{record.topic}  {key}  {short}"


class Published:
    """What stands in the topics whose names begin with `prefix`, but for the events in `played`."""

    def __init__(self, bootstrap: str, prefix: str, played: set[str]) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._played = played

    async def __call__(
        self,
        topic: str,
        where: Callable[[Seen], object] | None = None,
        *,
        within: float = _WITHIN_S,
    ) -> Seen:
        """The first event of `topic` for which `where` is true.

        Raises `AssertionError`, which shows what came instead, where none comes `within` seconds.
        """
        __tracebackhide__ = True
        return (await self.all(topic, 1, where, within=within))[0]

    async def all(
        self,
        topic: str,
        count: int,
        where: Callable[[Seen], object] | None = None,
        *,
        within: float = _WITHIN_S,
    ) -> list[Seen]:
        """The first `count` events of `topic` for which `where` is true, as `__call__` does."""
        __tracebackhide__ = True
        fitting: list[Seen] = []
        others: list[Seen] = []
        try:
            async with asyncio.timeout(within):
                log = Log(self._bootstrap, None, prefix=self._prefix)
                stream = log.records(follow=True, pause_s=_SETTLE_S)
                async with log, aclosing(stream) as records:
                    async for record in records:
                        if record.event_id in self._played:
                            continue
                        seen = Seen(record)
                        fits = seen.topic == topic and (where is None or where(seen))
                        (fitting if fits else others).append(seen)
                        if len(fitting) == count:
                            return fitting
        except TimeoutError:
            pass
        raise AssertionError("\n".join(_missed(topic, count, within, fitting, others)))

    async def so_far(self) -> list[Record]:
        """All that has been published until now."""
        log = Log(self._bootstrap, None, prefix=self._prefix)
        async with log, aclosing(log.records()) as records:
            return [r async for r in records if r.event_id not in self._played]


def _missed(
    topic: str, count: int, within: float, fitting: Iterable[Seen], others: list[Seen]
) -> Iterator[str]:
    came = list(fitting)
    wanted = f"no {topic}" if count == 1 else f"{len(came)} of {count} {topic}"
    yield f"{wanted} that fits came within {within:g} s"
    alike = [seen for seen in others if seen.topic == topic]
    rest = [seen for seen in others if seen.topic != topic]
    if came:
        yield from _listed("what fits", came)
    if alike:
        yield from _listed(f"{topic} that does not fit", alike)
    if rest:
        yield from _listed("of other topics", rest)
    if not (came or others):
        yield "nothing came at all: is the service up, and does it use the test's topic_prefix?"


def _listed(what: str, seen: list[Seen]) -> Iterator[str]:
    yield f"{what}: {len(seen)}"
    yield from (f"  {each}" for each in seen[:_SHOWN])
    if len(seen) > _SHOWN:
        yield f"  … and {len(seen) - _SHOWN} more"
