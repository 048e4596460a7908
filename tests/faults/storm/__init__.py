"""Storms: seeded faults of every kind on a platform under load, and what must hold after each."""
