"""The record of a profile: its fields, its JSON file, its older versions, and the checks on a stranger's record."""
