"""The runtime that every Coterie service stands on."""
