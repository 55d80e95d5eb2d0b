"""leafdist trains leaf-disease classifiers: one config, any number of processes, the same run."""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["RunRecord", "__version__", "load_run"]
_HOMES = {"load_run": "leafdist.predict.api", "RunRecord": "leafdist.runs.record"}

if TYPE_CHECKING:
    from leafdist.predict.api import load_run
    from leafdist.runs.record import RunRecord

    __version__: str
else:

    def __getattr__(name: str) -> object:
        """Import a name of `__all__` when it is asked for, so that `import leafdist` is instant."""
        if name == "__version__":
            return import_module("importlib.metadata").version(__name__)
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)
