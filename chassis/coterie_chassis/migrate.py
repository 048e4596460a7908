"""Schema by Alembic: the chassis's branch, the circle's where it is used, the service's own.

Migrations run as a command of their own, one at a time under an advisory lock. A service never
migrates when it starts; it refuses to start on an older schema.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from coterie_chassis.errors import OlderSchema

if TYPE_CHECKING:
    from coterie_chassis.service import Service
    from coterie_chassis.store import Database

__all__ = ["check_schema", "revision_files", "upgrade"]

_LOCK: Final = 7_203_551
_CHASSIS: Final = Path(__file__).parent


async def upgrade(database: Database, service: Service) -> None:
    """Bring the schema up to this release; waits for another migration under way."""
    async with database.engine.begin() as connection:
        await connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.run_sync(_upgrade, service)


async def check_schema(database: Database, service: Service) -> None:
    """Raises `OlderSchema` unless the database has every revision of this release."""
    async with database.engine.connect() as connection:
        missing = await connection.run_sync(_missing, service)
    if missing:
        raise OlderSchema(
            f"the schema of {service.name} lacks {', '.join(sorted(missing))}: "
            f"run `coterie-{service.name} migrate` first"
        )


def revision_files(service: Service) -> list[Path]:
    """The files of all revisions that a service's schema is made of."""
    return [path for folder in _locations(service) for path in sorted(folder.glob("*.py"))]


def _locations(service: Service) -> list[Path]:
    locations = [_CHASSIS / "migrations" / "versions"]
    if service.circle:
        locations.append(_CHASSIS / "circle_migrations")
    return [*locations, Path(str(files(service.migrations))) / "versions"]


def _config(service: Service) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_CHASSIS / "migrations"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, _locations(service))))
    return config


def _upgrade(connection: Connection, service: Service) -> None:
    config = _config(service)
    config.attributes["connection"] = connection
    command.upgrade(config, "heads")


def _missing(connection: Connection, service: Service) -> set[str]:
    scripts = ScriptDirectory.from_config(_config(service))
    current = MigrationContext.configure(connection).get_current_heads()
    applied = {
        revision.revision
        for head in current
        for revision in scripts.iterate_revisions(head, "base")
    }
    return {
        revision.revision
        for head in scripts.get_heads()
        for revision in scripts.iterate_revisions(head, "base")
    } - applied
