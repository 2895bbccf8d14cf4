"""A visitor's own model: brought, corrected, removed."""
