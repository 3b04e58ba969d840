"""What is seen of single tokens: do entropy and divergence find decisions, and does success depend on them?"""
