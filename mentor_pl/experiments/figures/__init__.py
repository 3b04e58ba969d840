"""Figures, each from results or from a run's metrics."""
