"""Evaluates files on labelled pictures: how often they are right, and where they differ from the original."""
