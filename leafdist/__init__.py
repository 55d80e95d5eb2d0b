"""leafdist trains leaf-disease classifiers: one config, any number of processes, the same run."""

__version__ = "0.1.0"
