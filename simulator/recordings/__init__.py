"""Feeds kept as they came, and served again through the same sockets."""
