"""Merit read aloud from the rulebook's eight steps: slow, plain, written apart.

`y[c, r]` is the rating of contribution c by r; `author[c]` its author; `team` the rater who stands
for the staff's appreciation and has no habit.
"""

from __future__ import annotations

from collections.abc import Hashable

Name = Hashable


def merit(
    y: dict[tuple[Name, Name], float],
    author: dict[Name, Name],
    outcomes: dict[Name, int],
    team: Name,
) -> dict[Name, tuple[float, float, int]]:
    """Per member: merit, the sum of v, and how many rated them."""
    y = {(c, r): value for (c, r), value in y.items() if author[c] != r}
    raters = {r for _, r in y}
    members = {author[c] for c, _ in y} | {m for m, n in outcomes.items() if n}
    n = len(y)
    g = (sum(y.values()) + 4 * 0.5) / (n + 4)

    def of(r: Name) -> list[float]:
        return [value for (_, rater), value in y.items() if rater == r]

    m = {r: sum(v - g for v in of(r)) / (len(of(r)) + 10) for r in raters}
    m[team] = 0.0

    def praises(r: Name, a: Name) -> int:
        return sum(v > 0.5 for (c, rater), v in y.items() if rater == r and author[c] == a)

    praise = {(r, a): praises(r, a) for r in raters | members for a in raters | members}

    def outside(c: Name, r: Name) -> float:
        a = author[c]
        heard = [
            v
            for (other, s), v in y.items()
            if other == c and s != r and not (praise[s, a] >= 2 and praise[a, s] >= 2)
        ]
        return (sum(heard) + 4 * 0.5) / (len(heard) + 4)

    people = raters | members
    e = dict.fromkeys(((r, a) for r in people for a in people), 0.0)
    for r in raters:
        for a in members:
            b = sum(v - outside(c, r) for (c, s), v in y.items() if s == r and author[c] == a)
            e[r, a] = max(0.0, b - 0.25)

    def rho(r: Name, a: Name) -> float:
        direct = min(e[r, a], e[a, r])
        through = max(
            (min(e[r, a], e[a, z], e[z, r]) for z in people if z not in {r, a}), default=0.0
        )
        return 0.25 / (0.25 + max(direct, through))

    result = {}
    for a in members:
        weights, products = [], []
        about = {r for (c, r) in y if author[c] == a}
        for c in {c for (c, _) in y if author[c] == a}:
            total = lean = 0.0
            for r in raters:
                if (c, r) in y:
                    w = rho(r, a) / sum(1 for (d, s) in y if s == r and author[d] == a)
                    total += w
                    lean += w * (y[c, r] - g - m[r])
            v = total / (total + 3)
            weights.append(v)
            products.append(v * lean / total)
        q = 0.5 + 0.5 * sum(products) / (0.3 + sum(weights))
        n_outcomes = outcomes.get(a, 0)
        result[a] = (1 - (1 - q) * 0.75**n_outcomes, sum(weights), len(about))
    return result
