"""Turns an archive or a folder of photos into train, val and test."""
