"""A run for other programs: ONNX, torch.export, a state dict, a model card."""
