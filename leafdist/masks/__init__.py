"""Masks of leaves: which pixels of a photo are the leaf, and which the lab's table."""
