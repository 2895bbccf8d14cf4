"""The parts of Build: a card for each place where the model can go, the choice of files, and all files in rows."""
