"""Exact evaluation, and what its answers are worth."""
