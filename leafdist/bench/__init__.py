"""How fast this machine trains, and what bounds it."""
