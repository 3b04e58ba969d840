"""`mentor replay`: the update of a recorded step again, from a checkpoint before it and the records since."""
