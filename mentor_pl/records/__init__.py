"""The rollouts of a run's steps on disk, token by token: what a page shows, a fork starts from and a replay repeats."""
