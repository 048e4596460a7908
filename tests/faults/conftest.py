"""The undisturbed season that disturbed ones are held against."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.seasons import Played, played_once


@pytest.fixture(scope="session")
def season(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The same run that the tests of the demo look at."""
    return played_once(tmp_path_factory)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs a season to disturb or to compare with can be chosen by `-m faults`."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and "season" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.faults)
