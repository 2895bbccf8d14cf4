"""From a file or an address to a picture, and from a picture to a model's input."""
