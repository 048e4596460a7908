"""What happens to a suggestion, who is asked to look again, and whose voice counts.

Nothing here reads a clock, a database or a random number: a decision taken again from the same
state and cause is the same, ids included.
"""
