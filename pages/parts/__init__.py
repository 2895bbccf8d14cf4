"""Small things that several pages draw."""
