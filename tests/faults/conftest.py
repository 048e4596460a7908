"""The undisturbed season that disturbed ones are held against."""

from __future__ import annotations

import pytest

from tests.flows.seasons import Played, played_once


@pytest.fixture(scope="session")
def season(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The same run that the tests of the demo look at."""
    return played_once(tmp_path_factory)
