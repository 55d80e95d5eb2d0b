"""Exit statuses of the programs, and the errors that several folders know. Launchers turn all statuses but 0 into 1."""

DONE, WRONG, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 75
STOPPED = 130  # by Ctrl-C, as a shell says it


class SaveError(Exception):
    """A checkpoint could not be written; the earlier ones are intact."""


class UnreadablePhotoError(ValueError):
    """A photo that cannot be used; any rank may be the one that meets it."""


class UnopenedPhotoError(UnreadablePhotoError):
    """A photo that the system did not hand out: what is in it is not known, and another time it may be intact."""
