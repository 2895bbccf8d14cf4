"""The errors of this library. Each says what is wrong and what the person can do.

    DeployError                 the base of all errors that this library raises
    ├── InvalidRequest          an option, a name or a number that makes no sense
    ├── InvalidPicture          bytes that are not a picture this project reads
    ├── InvalidPictureSet       a labelled folder or archive that cannot be used
    │   └── UnknownClasses      some of its folders are named after no class of the model
    ├── PictureUnreachable      a file or an address that gives no picture
    ├── WeightsUnavailable      the Hub cannot be reached, or does not have the file
    ├── InvalidCheckpoint       a checkpoint that does not fit the model
    ├── InvalidArtifact         a file that is no artifact, is damaged, or belongs to another model
    │   └── DamagedArtifact     a file of the store that has changed since it was built
    ├── FormatUnavailable       this machine cannot build or run the format
    ├── HomeInUse               another app uses the same folder
    ├── StorageFailed           the disk is full, or the folder cannot be written
    ├── ClusterUnavailable      a Dask cluster cannot be reached, or lost the work
    ├── QueueFull               too many jobs wait already
    └── JobFailed               a task in another process ended without a result
        ├── JobCancelled        somebody cancelled it
        └── TookTooLong         it took longer than it may

Errors of other libraries are translated where those libraries are called, so that no traceback reaches a visitor.
"""

from __future__ import annotations

# Errors quote what a person gave, and that may have any length.
LONGEST_SENTENCE = 600


class DeployError(Exception):
    """One sentence on what is wrong, one on what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = _bounded(problem), _bounded(remedy)
        super().__init__(f"{self.problem} {self.remedy}")

    def __reduce__(self) -> tuple[type[DeployError], tuple[str, str]]:
        """Exceptions travel between processes by pickle, which would keep only the message."""
        return type(self), (self.problem, self.remedy)


class InvalidRequest(DeployError):
    pass


class InvalidPicture(DeployError):
    pass


class InvalidPictureSet(DeployError):
    pass


class UnknownClasses(InvalidPictureSet):
    pass


class PictureUnreachable(DeployError):
    pass


class WeightsUnavailable(DeployError):
    pass


class InvalidCheckpoint(DeployError):
    pass


class InvalidArtifact(DeployError):
    pass


class DamagedArtifact(InvalidArtifact):
    pass


class FormatUnavailable(DeployError):
    pass


class HomeInUse(DeployError):
    pass


class StorageFailed(DeployError):
    pass


class ClusterUnavailable(DeployError):
    pass


class QueueFull(DeployError):
    pass


class JobFailed(DeployError):
    pass


class JobCancelled(JobFailed):
    pass


class TookTooLong(JobFailed):
    pass


def _bounded(sentence: str) -> str:
    """A long sentence is cut to its beginning and its end."""
    half = LONGEST_SENTENCE // 2
    return sentence if len(sentence) <= LONGEST_SENTENCE else f"{sentence[:half]} … {sentence[-half:]}"


UNEXPECTED = JobFailed("Something unexpected went wrong.", "Try again; the server's log has the details.")
