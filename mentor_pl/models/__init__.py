"""Loading models, and their log-probabilities."""
