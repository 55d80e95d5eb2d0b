"""What a run says of photos."""
