"""Tapes of Coterie's events: recorded once, played as often as a test or a developer needs them.

A record goes back byte for byte, except for the mark that tells consumers that it is a replay.
Contact data is on no tape.
"""
