"""Tasks that generate their problems and score their answers; what a worker needs, so free of torch."""
