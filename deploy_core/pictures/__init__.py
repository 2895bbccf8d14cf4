"""Strangers' pictures: read in processes of their own (``decoder``), which others ask through ``decoders``."""
