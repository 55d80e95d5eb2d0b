"""Folders of photos become batches of uint8 rows."""
