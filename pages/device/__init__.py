"""The browser side of "On your device", and what it reported."""
