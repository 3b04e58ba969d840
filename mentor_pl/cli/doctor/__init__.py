"""`mentor doctor`: what is wrong with a configuration, before anything is loaded. One file per group of findings."""
