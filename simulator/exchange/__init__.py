"""The market: what is listed, how it moves, trades and is quoted; a function of seed and instant.

Knows neither the broker's protocol nor a server, and imports nothing of the other rooms.
"""
