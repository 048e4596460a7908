"""Decides what became of what members said.

It keeps members' words to itself and publishes only that they spoke. It holds staff to the path
from a suggestion to a change, and asks those who wanted the change to look again.
"""
