"""An exchange that speaks the broker's protocol over a market with known truth.

Prices are a pure function of seed and time; everything else only serves them. The rooms, each built
on those below it::

    server, proxy, clocks, console     one process: put together, led to, moved and asked
    recordings | rest                  feeds kept and served again; the broker's paths
    socket                             the feed of a connection
    faults                             what goes wrong on purpose
    access                             tokens, limits, refusals
    exchange                           the market

Nothing of optionlake's own decoding or pricing is used here, so that the two can be held against
each other.
"""
