"""The parts of Profile: which runs there are, their charts and tables, and two runs compared."""
