"""How fast each file answers, what it costs, and which one to ship."""
