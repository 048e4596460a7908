"""What is told to whom, when, and why not: pure decisions, no I/O, no clock, no minted ids."""
