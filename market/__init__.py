"""The vocabulary of the exchange: contracts, ticks, sessions, dated rules, errors.

Pure, standard library only: no clock, no environment, no I/O. Whatever needs Polars or NumPy
belongs in ``transforms``; whatever talks to the world belongs further up.
"""
