"""timm without wandb, which it would import for scripts of its own: W&B cannot end a training."""

import sys

HIDDEN = "wandb" not in sys.modules
if HIDDEN:
    sys.modules["wandb"] = None  # type: ignore[assignment]  # as Python marks what cannot be imported
try:
    import timm.layers.drop
    import timm.models
finally:
    if HIDDEN:
        del sys.modules["wandb"]

__all__ = ["timm"]
