"""Who plays, and what they say. A cosmetics brand and its most devoted customers."""

from __future__ import annotations

from typing import Final

__all__ = ["COMMENTS", "NAMES", "SUGGESTIONS", "names"]

NAMES: Final = (
    "ada",
    "ben",
    "chidi",
    "dora",
    "eun-ji",
    "femi",
    "greta",
    "hugo",
    "inez",
    "jonas",
    "kamala",
    "lena",
    "milo",
    "noor",
    "olga",
    "pavel",
    "quinn",
    "rosa",
    "sven",
    "tara",
)

SUGGESTIONS: Final = (
    ("The pump of the serum drips and I lose some every morning.", "Pump that does not drip"),
    ("Please sell refills; I have six empty bottles here.", "Refills for the serum"),
    ("The lid of the night cream is hard to open with wet hands.", "Lid that opens with wet hands"),
    ("Could the scent be left out? My daughter cannot use it.", "Serum without scent"),
    ("A small size for travelling would be lovely.", "Travel size"),
    ("I never know in which order to use the three of them.", "Order of use on the box"),
    ("The box is far too large for one bottle.", "Smaller box"),
    ("Make it in pink.", "Pink bottle"),
    ("My pump leaks too, about a drop a day.", "Leaking pump"),
    ("Never mind, I found the answer on the box.", "Nothing"),
    ("Print the date after opening in a size that I can read.", "Readable dates"),
    ("A sample of the new one in each order, please.", "Samples"),
    ("The glass feels cold in winter; perhaps a sleeve?", "Sleeve"),
    ("Tell us when something sold out comes back.", "Back in stock"),
    ("Could the label survive the shower?", "Waterproof label"),
)

COMMENTS: Final = (
    "Same here, every single morning.",
    "I put a cotton pad under it, but it is a pity.",
    "Yes, please.",
    "It would make me buy the larger one.",
    "I had not thought of that; good point.",
    "Mine is fine, so perhaps it is one batch?",
    "A picture would help.",
)


def names(count: int) -> list[str]:
    """`count` different names, the known ones first."""
    return [*NAMES, *(f"guest-{n}" for n in range(1, max(0, count - len(NAMES)) + 1))][:count]
