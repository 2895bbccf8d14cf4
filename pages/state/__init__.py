"""The state of a page: the picked model, the address, the session, and the objects that all sessions share."""
