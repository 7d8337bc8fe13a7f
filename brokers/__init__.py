"""The outside world behind one small interface.

A broker's names, units, URLs and error codes stop at its own folder (``upstox/``): prices leave it
in ₹, quantities and open interest in units, volatility as a fraction, instants as aware UTC.
SQL, paths and analytics do not belong here.
"""
