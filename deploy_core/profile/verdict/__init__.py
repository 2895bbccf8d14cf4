"""Conclusions from a record: which file is faster, how sure that is, why, and which one to ship."""
