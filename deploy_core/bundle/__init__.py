"""The zip for a phone developer: the file, its metadata, a test picture with its answer, and code for an app."""
