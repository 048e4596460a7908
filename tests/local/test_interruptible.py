"""A signal is never lost, also when Python would drop what its handler raises."""

from __future__ import annotations

import signal
import time

import pytest

from coterie_local.interruptible import Interruptible, uninterrupted


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


def test_a_signal_waits_for_the_end_of_what_must_not_be_interrupted() -> None:
    reached: list[str] = []
    with Interruptible():
        with uninterrupted():
            signal.raise_signal(signal.SIGTERM)
            reached.append("the end of the part")
        reached.append("after the part")
    assert reached == ["the end of the part"]


def test_a_part_that_fails_of_the_same_interrupt_ends_the_block_in_order() -> None:
    with Interruptible(), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        raise RuntimeError("its process got the same Ctrl-C")


def test_a_part_that_fails_by_itself_is_told() -> None:
    with pytest.raises(RuntimeError, match="by itself"), Interruptible(), uninterrupted():
        raise RuntimeError("by itself")


def test_what_a_part_makes_of_an_interrupt_counts_as_the_interrupt() -> None:
    def part() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise OSError("cut off") from None

    with Interruptible():
        part()
