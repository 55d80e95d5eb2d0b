"""From folders of photos to batches of uint8 rows."""
