"""What a run's metrics say is going wrong."""
