"""A defect in production, planted on purpose: what it holds back waits, and comes back in order.

A trigger in one service's database fails for one member. The service sets the event aside, later
events of that member wait behind it, everybody else goes on. Once the trigger is gone, the
operator's `redrive` applies what waited.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg

from coterie_local.platform import Platform
from coterie_replay.brokers.processes import LocalFault

__all__ = ["dead_letter", "planted", "redrive"]

_PATIENCE_S = 40.0
_PAUSE_S = 0.05


@asynccontextmanager
async def planted(platform: Platform, service: str, member_id: UUID) -> AsyncIterator[None]:
    """While the block runs, `service` fails to keep its copy of that member, who is known there.

    An admission still on its way would be set aside too, on a slow machine and on no other.
    """
    connection = await asyncpg.connect(platform.environment(service)["COTERIE_DATABASE_URL"])
    try:
        await _first_value(
            connection, f"{service} was expected to know a member", _KNOWN, member_id
        )
        await connection.execute(_MEND)  # what a play that was killed here left behind
        await connection.execute(_PLANT.format(member=member_id))
        try:
            yield
        finally:
            await connection.execute(_MEND)
    finally:
        await connection.close()


async def dead_letter(platform: Platform, service: str, member_id: UUID, *, behind: int) -> int:
    """The id of the member's first open dead letter, once `behind` events wait behind it."""
    connection = await asyncpg.connect(platform.environment(service)["COTERIE_DATABASE_URL"])
    expected = f"{service} was expected to set an event aside"
    try:
        return int(await _first_value(connection, expected, _OPEN, member_id, 1 + behind))
    finally:
        await connection.close()


async def _first_value(
    connection: asyncpg.Connection[Any], expected: str, query: str, *values: object
) -> Any:
    """What `query` finds, once it finds something. Raises `LocalFault` that says `expected`."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE_S
    while asyncio.get_running_loop().time() < deadline:
        if (found := await connection.fetchval(query, *values)) is not None:
            return found
        await asyncio.sleep(_PAUSE_S)
    raise LocalFault(expected)


def redrive(platform: Platform, service: str, letter: int) -> int:
    """Apply a letter and what waits behind it; how many took effect."""
    done = platform.run(service, "redrive", "retry", str(letter))
    if (found := re.match(r"(\d+) applied, 0 still open", done.stdout)) is None:
        raise LocalFault(f"redrive did not succeed: {done.stdout}{done.stderr}")
    return int(found[1])


_PLANT = """
CREATE FUNCTION planted_defect() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a defect, planted by the demo';
END $$;
CREATE TRIGGER planted_defect BEFORE INSERT OR UPDATE ON member_copy FOR EACH ROW
WHEN (NEW.member_id = '{member}') EXECUTE FUNCTION planted_defect();
"""
_MEND = "DROP FUNCTION IF EXISTS planted_defect() CASCADE;"
_KNOWN = "SELECT 1 FROM member_copy WHERE member_id = $1"
_OPEN = """
SELECT min(id) FROM dead_letter WHERE state = 'open' AND subject = $1 HAVING count(*) >= $2
"""
