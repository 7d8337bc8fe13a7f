"""An exchange that speaks the broker's protocol over a market with known truth.

Prices are a pure function of seed and time (``exchange``); ``rest`` and ``socket`` only serve them.
Nothing of optionlake's own decoding is used here, so that the two can be held against each other.
"""
