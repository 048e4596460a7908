"""What history costs: relay and consumer with a full archive and inbox, or with empty ones."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

from tests.bench.consuming import consume
from tests.bench.measure import Measured, alternate, row
from tests.bench.relaying import UNIT, drain
from tests.bench.rig import Rig, Stage

__all__ = ["Laden"]

ENOUGH: Final = 100  # events that have relay and consumer make today's partitions


class Laden(Stage):
    """A stage that keeps its archive and inbox; the inbox forgets a round's own events."""

    async def empty(self) -> None:
        async with self.database.engine.begin() as connection:
            await connection.execute(text("TRUNCATE outbox, opinion"))
            await connection.execute(text(_FORGET))
        await self._alone("VACUUM inbox", "CHECKPOINT")

    async def remember(self, rows: int) -> None:
        """Put `rows` into archive and inbox, all of them into today's partitions."""
        async with self.database.engine.begin() as connection:
            for statement in (_ARCHIVED, _TAKEN):
                await connection.execute(text(statement), {"rows": rows})
        await self._alone("VACUUM ANALYZE inbox", "VACUUM ANALYZE outbox_archive", "CHECKPOINT")

    async def _alone(self, *statements: str) -> None:
        async with self.database.engine.connect() as connection:
            alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
            for statement in statements:
                await alone.execute(text(statement))


async def through(stage: Stage, count: int) -> float:
    """Events a second of the relay and then the consumer, each of which takes `count`."""
    begin = await stage.rig.ends()
    relayed = await drain(stage, count)
    consumed = await consume(stage, begin, count)
    return 2 / (1 / relayed + 1 / consumed)


@row(UNIT, at_least=0.8)
async def history_cost(rig: Rig) -> Measured:
    """Relay and consumer with 3,000,000 rows of archive and inbox behind them over none."""
    async with rig.stage_of(Laden) as laden, rig.stage() as empty:
        await laden.keep_outbox(ENOUGH)
        await through(laden, ENOUGH)
        rig.say(f"putting {rig.history:,} rows into archive and inbox")
        await laden.remember(rig.history)
        for stage in (laden, empty):
            await stage.keep_outbox(rig.events)
        return await alternate(
            rig,
            lambda: through(laden, rig.events),
            lambda: through(empty, rig.events),
        )


_FORGET: Final = "DELETE FROM inbox USING kept WHERE inbox.event_id = kept.event_id"
_ARCHIVED: Final = """
    INSERT INTO outbox_archive (id, event_id, topic, key, headers, value)
    SELECT -n, gen_random_uuid(), model.topic, model.key, model.headers, model.value
    FROM generate_series(1, CAST(:rows AS bigint)) AS n, (SELECT * FROM kept LIMIT 1) AS model
"""
# Ids like those of today's events: milliseconds since midnight in their order, then chance.
_TAKEN: Final = """
    INSERT INTO inbox (event_id)
    SELECT CAST(lpad(to_hex(CAST(extract(epoch FROM moment) * 1000 AS bigint)), 12, '0')
                || '8' || left(chance, 3) || 'a' || substr(chance, 4, 15) AS uuid)
    FROM (
        SELECT date_trunc('day', now()) + (now() - date_trunc('day', now())) * n / :rows AS moment,
               md5(CAST(random() AS text)) AS chance
        FROM generate_series(1, CAST(:rows AS bigint)) AS n
    ) AS made
"""
