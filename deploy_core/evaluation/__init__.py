"""How often files are right on labelled pictures, and where they differ from the original."""
