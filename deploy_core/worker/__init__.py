"""The processes that do the app's work, and the client that the pages use to ask them."""
