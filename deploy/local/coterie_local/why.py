"""Why a notification was sent or withheld: each answer of the guard, in its order."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import httpx2
from rich.console import Console
from rich.table import Table

from coterie_chassis.auth import Role
from coterie_local.data_folder import Running
from coterie_local.tokens import TokenIssuer
from coterie_local.welcome import LOCAL_BRAND
from coterie_replay.brokers.processes import LocalFault

__all__ = ["explain"]


def explain(console: Console, running: Running, data: Path, notification_id: UUID) -> None:
    """Print the guard's steps, asked of the running platform as a manager of the local brand.

    Raises `LocalFault` for an unknown notification, and where the service does not answer.
    """
    token = TokenIssuer(data / "tokens").mint("mia", [Role.MANAGER], brand=LOCAL_BRAND)
    service = running.services["notifications"]
    try:
        answer = httpx2.get(
            f"{service}/notifications/{notification_id}/guard",
            headers={"Authorization": f"Bearer {token}"},
            timeout=10.0,
        )
    except httpx2.TransportError as error:
        raise LocalFault(f"notifications does not answer at {service}: {error}") from None
    if answer.is_error:
        detail = answer.json().get("detail", answer.text)
        raise LocalFault(f"notification {notification_id}: {detail}")
    told = answer.json()
    table = Table(title=f"{told['template']} ({told['notification_class']})", title_justify="left")
    for heading in ("step", "passed", "what it says"):
        table.add_column(heading)
    for step in told["steps"]:
        table.add_row(step["step"], "yes" if step["passed"] else "no", step["says"])
    console.print(table)
    console.print(
        f"{told['outcome']} ({told['reason']}) at {told['decided_at']}, "
        f"policy version {told['policy_version']}, zone {told['time_zone']}"
    )
