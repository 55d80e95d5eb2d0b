"""What this machine can do for a training, and what is wrong with it."""
