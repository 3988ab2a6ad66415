"""How the instrumentations of others name what they record: a module each, which reads it into our model."""
