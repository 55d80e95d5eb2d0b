"""What is done to the photos of a batch beside flips and crops: tensors in, tensors out, nothing of ranks or files."""
