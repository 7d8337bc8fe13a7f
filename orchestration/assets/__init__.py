"""The assets, one module for each stage of a window."""
