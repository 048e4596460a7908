"""Membership decides who is in.

It judges applications against a community's entry requirements, hands out a limited number of
seats, and keeps the waitlist. It alone knows how to reach a person, and it forgets them for good.
"""
