"""Trouble made on purpose around the real streaming process, and the books kept of it."""
