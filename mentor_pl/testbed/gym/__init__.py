"""Two tasks of reasoning-gym with models small enough for a CPU: `chain_sum` and `countdown`."""
