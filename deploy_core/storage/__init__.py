"""What the app keeps on disk: built files, uploads, visitors' models."""
