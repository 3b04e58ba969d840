"""A user's mistake in one line: what was given, where, and what would be right."""
