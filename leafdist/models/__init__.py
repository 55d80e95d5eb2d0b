"""Networks and their layers. They know nothing of ranks."""
