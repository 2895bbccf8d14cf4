"""From the bytes of a picture to a model's input."""
