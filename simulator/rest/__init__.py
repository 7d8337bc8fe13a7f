"""The broker's REST paths over the market, in groups, each with its shapes beside it."""
