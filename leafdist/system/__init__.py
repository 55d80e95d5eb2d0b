"""Files, locks, signals, processes and the console: nothing about training, and no torch."""
