"""Running a response's code."""
