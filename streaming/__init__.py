"""The feed process: socket → journal → decode → last values → hypertable, and a live feed out.

Decisions (``feed``, ``live``) are plain code that is handed bytes and ``now``; the shells around
them do the waiting. REST polling and orchestration do not belong here.
"""
