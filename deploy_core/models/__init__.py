"""The catalogue of models, the families they belong to, and the loading of their weights."""
