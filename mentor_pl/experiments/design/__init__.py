"""What an experiment is, fixed before it is run, and read from YAML."""
