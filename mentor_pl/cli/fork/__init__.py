"""`mentor fork`: what one intervention of the expert was worth, by going on without it and with it."""
