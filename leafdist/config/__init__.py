"""Settings: each key with its default, range and meaning; read from YAML and flags. Imports no torch."""
