"""Averages of the weights of trained runs, as runs of their own."""
