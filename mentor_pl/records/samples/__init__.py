"""Some rollouts of a step for the boards of loggers, their tokens coloured by guidance."""
