"""Run work in other processes: progress, cancelling, results, and a queue."""
