"""Path-star: one decision per answer, everything else follows."""
