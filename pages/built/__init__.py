"""The parts of Build: the choice of formats and options, the table of all files, and a card for each file."""
