"""Distils a DeiT on photographs, and measures and ships the embedded model. No other room imports this one."""
