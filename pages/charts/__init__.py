"""Charts in the light and the dark theme: one module for each kind."""
