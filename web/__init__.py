"""The HTTP side of the app: its routes, headers, and limits on uploads, connections and sessions."""
