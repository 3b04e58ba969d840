"""Runs the cells of a design, each apart, and reads what came out of them."""
