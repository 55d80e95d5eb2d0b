"""The script that makes a shell complete `leafdist`."""
