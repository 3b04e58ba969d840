"""Losses over response tokens, one file each."""
