"""Load and save. One lock order for handlers, commands and deadlines.

1. `reward_desk` by community id: whoever decides about rewards holds the desk of the community.
2. `budget` by id, 3. `code_pool` by id, 4. `reward` by id: only under their community's desk.

`badge_evidence` and the badges that stand on it are written under the desk as well. Facts
(`rating`, `appreciation`, `outcome`) and `merit_dirty` are only inserted; what follows from merit
is written under an advisory lock of the community: these stand outside of the order. The lock of
erasures (`facts.give_way`) comes last; who shares it takes nothing after it.
"""

from coterie_recognition.store.tables import metadata

__all__ = ["metadata"]
