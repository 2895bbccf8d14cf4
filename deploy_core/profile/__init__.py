"""Measures how fast each file answers and what it costs, and recommends which one to ship."""
