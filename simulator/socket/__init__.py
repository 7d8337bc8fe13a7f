"""The feed: what a connection is told, how that is written, and the connection itself."""
