"""Rewards: every file is one grader, named in YAML by its import path."""
