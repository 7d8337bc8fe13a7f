"""TimescaleDB, the lake and the journal: the only home of SQL and of paths.

What a number means is decided in ``transforms``; when something is written is decided by the
programs above. Every write here is one transaction or none.
"""
