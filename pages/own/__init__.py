"""A visitor's own model: brought and corrected in dialogs, described in the picker."""
