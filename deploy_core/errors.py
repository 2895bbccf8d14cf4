"""What can go wrong, and what the person can do about it.

    DeployError                 everything this library raises on purpose
    ├── InvalidRequest          an option, a name or a number that makes no sense
    ├── InvalidPicture          bytes that are not a picture this project reads
    ├── InvalidPictureSet       a labelled folder or archive that cannot be used
    ├── PictureUnreachable      a file or an address that gives no picture
    ├── WeightsUnavailable      the Hub is out of reach, or does not have the file
    ├── InvalidCheckpoint       a checkpoint that does not fit the model
    ├── InvalidArtifact         a file that is no artifact, is damaged, or belongs to another model
    │   └── DamagedArtifact     a file of the store that is not what was built
    ├── FormatUnavailable       this machine cannot build or run the format
    ├── HomeInUse               another app works in the same folder
    ├── StorageFailed           the disk is full, or the folder cannot be written
    ├── ClusterUnavailable      a Dask cluster that cannot be reached, or that lost the work
    ├── QueueFull               too much heavy work waits already
    └── JobFailed               work in another process that ended without a result
        ├── JobCancelled        because somebody cancelled it
        └── TookTooLong         because it did not end within its time

Errors of other libraries are translated where they are called; nothing else of theirs reaches a visitor.
"""

from __future__ import annotations

# What a person gave is quoted in an error, and may be of any length.
LONGEST_SENTENCE = 600


class DeployError(Exception):
    """One sentence on what is wrong, one on what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = _bounded(problem), _bounded(remedy)
        super().__init__(f"{self.problem} {self.remedy}")

    def __reduce__(self) -> tuple[type[DeployError], tuple[str, str]]:
        """Exceptions travel between processes as what they were made of; by default that is the message alone."""
        return type(self), (self.problem, self.remedy)


class InvalidRequest(DeployError):
    pass


class InvalidPicture(DeployError):
    pass


class InvalidPictureSet(DeployError):
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
    """The beginning and the end of a sentence that is too long to read."""
    half = LONGEST_SENTENCE // 2
    return sentence if len(sentence) <= LONGEST_SENTENCE else f"{sentence[:half]} … {sentence[-half:]}"


UNEXPECTED = JobFailed("Something went wrong that nobody expected.", "Try again; the server's log has the details.")
