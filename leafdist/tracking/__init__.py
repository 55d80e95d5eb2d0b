"""Weights & Biases and TensorBoard, fed by rank 0. Neither can end a training."""
