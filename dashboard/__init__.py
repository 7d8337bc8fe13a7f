"""The page and the HTTP API: last values to browsers, history to whoever asks.

It shows numbers and never computes a metric. The front end's source is ``web/``, its build, which
is shipped, is ``static/``.
"""
