"""A signal is never lost, also when Python would drop what its handler raises."""

from __future__ import annotations

import signal
import time

import pytest

from coterie_local.interruptible import Interruptible


class Destroyed:
    """Is interrupted while it is destroyed, where nothing that is raised gets out."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_during_a_destructor_still_ends_the_block() -> None:
    reached: list[str] = []
    with Interruptible():
        one = Destroyed()
        del one
        reached.append("after the destructor")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            signal.sigtimedwait([], 0.05)
        reached.append("the end")
    assert reached == ["after the destructor"]


def test_other_faults_of_destructors_are_reported_as_before() -> None:
    class Faulty:
        def __del__(self) -> None:
            raise ValueError("in a destructor")

    told: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.unraisablehook", lambda dropped: told.append(dropped.exc_value))
        with Interruptible():
            one = Faulty()
            del one
    assert [str(one) for one in told] == ["in a destructor"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_handlers_are_put_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interruptible():
        assert signal.getsignal(number) is not before
        signal.raise_signal(number)
    assert signal.getsignal(number) is before
