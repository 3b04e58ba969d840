"""Guidance by an expert of another family: it is asked for text, and its text is read as the policy's tokens."""
