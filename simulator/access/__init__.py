"""Who calls and what for: tokens, login, limits, one-time codes, and the broker's refusals."""
