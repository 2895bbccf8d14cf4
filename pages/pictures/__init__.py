"""The parts of Classify: pictures in, answers out."""
