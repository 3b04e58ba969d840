"""A step: collect rollouts, learn from them."""
