"""A person's own checkpoint becomes a model file that this project can read."""
