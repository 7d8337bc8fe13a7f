"""Pure analytics: frames and arrays in, frames and arrays out.

No I/O, clock, logging or environment. ``chain.analyse`` is the one composition that live, batch,
backfill and page call; every other module is a step of it.
"""
