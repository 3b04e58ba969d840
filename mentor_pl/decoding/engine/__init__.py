"""Decoding on ragged caches: drafts of the policy, calls of the expert."""
