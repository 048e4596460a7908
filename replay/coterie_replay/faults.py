"""What keeps a command from doing what it was asked."""

from __future__ import annotations

__all__ = ["ReplayFault"]


class ReplayFault(Exception):
    """One line for people: what is wrong, where, and what to do about it."""
