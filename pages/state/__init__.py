"""What a page knows: the model that is picked, the address, the visitor, and the objects that all share."""
