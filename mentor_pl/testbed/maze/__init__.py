"""The maze: problems, solutions in many styles, labels of decisions, and its two models."""
