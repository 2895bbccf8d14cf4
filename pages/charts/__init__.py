"""Charts, in both themes."""
