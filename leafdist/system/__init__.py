"""Files, locks, signals, processes and the console. Knows nothing of training, and imports no torch."""
