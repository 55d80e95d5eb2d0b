"""Which run is better on the same photos, how surely, and what differs."""
