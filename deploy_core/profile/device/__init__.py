"""What a visitor's own device measured. Nothing in these reports is trusted."""
