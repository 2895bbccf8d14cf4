"""The command line: ``python -m deploy_core``."""
