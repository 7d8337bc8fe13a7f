"""What can go wrong on purpose: names, when each strikes, and what it does to calls and frames."""
