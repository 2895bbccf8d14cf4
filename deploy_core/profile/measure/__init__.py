"""Measures files: all of them in turn, and each one alone in a process of its own."""
