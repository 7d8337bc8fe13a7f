"""Upstox: its addresses, keys, units, errors and wire format, and nothing of them beyond here."""
