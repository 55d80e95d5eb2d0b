"""Processes, devices and precision: the only folder that imports Accelerate."""
