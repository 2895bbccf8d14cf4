"""Reports of visitors' own devices. The app does not trust them."""
