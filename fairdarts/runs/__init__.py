"""A search, a supernet, an evolution, a training, a study from beginning to end; callable from Python."""
