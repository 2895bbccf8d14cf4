"""Time the files in turn, and each one alone in a process of its own."""
