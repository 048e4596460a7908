"""Importers: reading, planning and playing real histories."""
