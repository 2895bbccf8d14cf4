"""The parts of Evaluate: the choice of pictures and files, figures, charts, and the pictures that files disagree on."""
