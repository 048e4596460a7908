"""Recognition decides what contributions are worth to the circle and what they earn.

Merit follows from peers' ratings and from what became of suggestions. Rewards follow improvements
under a community's policies and are paid from budgets that are never overdrawn.
"""
