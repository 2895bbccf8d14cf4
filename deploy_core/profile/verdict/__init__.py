"""What the numbers of a record mean: which file is faster, how sure that is, and what to ship."""
