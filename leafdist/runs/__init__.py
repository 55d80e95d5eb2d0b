"""The run folder: its files, who writes each and who reads it."""
