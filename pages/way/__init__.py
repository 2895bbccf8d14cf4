"""The way through the app: its steps, what is done for the picked model, and what comes next."""
