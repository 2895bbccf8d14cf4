"""Ask a model about pictures: classify, compare a file with its original, show where the model looks."""
