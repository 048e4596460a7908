"""Every kind of fault and what does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tests.faults.storm import deeds_parts as parts
from tests.faults.storm import deeds_processes as processes
from tests.faults.storm import deeds_records as records
from tests.faults.storm.arena import Arena
from tests.faults.storm.deed import Deed
from tests.faults.storm.load import Load
from tests.faults.storm.plan import Fault
from tests.faults.storm.records import Injected

__all__ = ["deed_for"]

_DEEDS: Final[Mapping[str, Callable[..., Deed]]] = {
    "kill": processes.Kill,
    "term": processes.Terminate,
    "stop": processes.Stop,
    "crash": processes.Crash,
    "kafka:kill": parts.KillBroker,
    "kafka:stop": parts.StopBroker,
    "postgres:kill": parts.KillPostgres,
    "postgres:stop": parts.StopPostgres,
    "postgres:full": parts.FullDisk,
    "kafka": parts.BreakNetwork,
    "postgres": parts.BreakNetwork,
    "clocks": processes.SetClock,
    "duplicates": records.Duplicate,
    "poison": records.Poison,
    "parked": records.Park,
    "rewind": records.Rewind,
    "republish": records.Republish,
    "churn": records.Churn,
}


def deed_for(fault: Fault, arena: Arena, load: Load, injected: Injected) -> Deed:
    """What does `fault`."""
    made = _DEEDS.get(fault.kind) or _DEEDS[fault.kind.partition(":")[0]]
    return made(arena, load, fault, injected)
