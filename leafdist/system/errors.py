"""Exit statuses, and the errors that several folders know. Launchers turn every status but 0 into 1."""

from dataclasses import dataclass

DONE, WRONG, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 75
STOPPED = 130  # by Ctrl-C: the status that a shell reports


class SaveError(Exception):
    """A checkpoint could not be written; the earlier ones are intact."""


class UnreadablePhotoError(ValueError):
    """A photo cannot be decoded; any rank may be the one that reads it."""


class UnopenedPhotoError(UnreadablePhotoError):
    """The system could not read a photo: its content is not known, and it may be intact another time."""


@dataclass(frozen=True)
class Failure:
    """The first rank to fail, why, and the exit status that this means for all."""

    rank: int
    reason: str
    status: int


class PeerError(RuntimeError):
    """Another rank failed. `lost`: it died or hung, so another try may help; False if it raised an error."""

    def __init__(self, failure: Failure) -> None:
        self.status, self.lost = failure.status, failure.status == INTERRUPTED
        super().__init__(f"rank {failure.rank} was the first to fail: {failure.reason}")
