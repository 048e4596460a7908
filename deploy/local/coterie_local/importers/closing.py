"""The end of a history: its clock reaches the end of the data, so that every deadline fires."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from uuid import UUID

from coterie_local.importers.client import FEEDBACK, CoterieClient, page_of_board
from coterie_local.importers.founding import staff_of
from coterie_local.importers.plan import Plan
from coterie_local.importers.transport import Send

_PAGE = 100


async def close_history(client: CoterieClient, plan: Plan, community_id: UUID) -> None:
    """Push the clock to the last instant of the source; return when feedback has seen it.

    A clock that is there already stays as it is: a push is an event.
    """
    manager = staff_of(plan.community)
    shown = await client.community(Send(caller=manager), community_id)
    if datetime.fromisoformat(shown.body["now"]) >= plan.ends_at:
        return
    pushed = await client.push_clock(Send(caller=manager, key="end"), community_id, plan.ends_at)
    await client.todo(FEEDBACK, Send(caller=manager, after=pushed.position), community_id)


async def feedback_by_state(client: CoterieClient, plan: Plan, community_id: UUID) -> Counter[str]:
    """How many suggestions are in which state, read from the board."""
    send = Send(caller=staff_of(plan.community))
    states: Counter[str] = Counter()
    cursor: str | None = None
    while True:
        answer = await client.board(send, community_id, limit=_PAGE, cursor=cursor)
        found, cursor = page_of_board(answer)
        states.update(found)
        if cursor is None:
            return states
