"""Experiments over seeds, from a design to its report; what a run says of itself; what is seen of single tokens."""
