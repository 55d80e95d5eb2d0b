"""From an archive or a folder of photos to train, val and test."""
