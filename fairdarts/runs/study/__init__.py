"""Many runs as one question: recipes × seeds, or the factors of a supernet's training, one after the other."""
