"""Decides what people are told, and leaves them in peace.

Every notice passes the guard, which answers nine questions and keeps the answers. What is withheld
is kept with its reason, so that a manager can read why nobody heard.
"""
