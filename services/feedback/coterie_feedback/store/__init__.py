"""The tables of feedback, and how states are loaded from and saved to them.

Lock order, for commands, batches and deadlines alike: the community's clock row (the chassis takes
it where time moves), then rows of `feedback` in the order of their ids, then rows of `look_again`
in the order of theirs, then at most one row of `support`, `rating`, `appreciation` or `campaign`.
Who writes words, supports or ratings shares the copy of the member who acts, after the clock row
and before anything else; an erasure, which deletes that copy, comes before them or finds them.
Deadlines are set and never cancelled: whoever acts on them takes their rows first of all, so a
command that cancelled one would wait the other way round. A stale deadline finds nothing to do.
Whoever takes more than one row of `feedback` at once on a driven community first waits for its
clock row, because deadlines there lock suggestions one after the other.
"""
