"""The saved form of a profile, its versions, and the checks on a record from elsewhere."""
