"""The port to whatever takes and restores a snapshot of this process."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restored process is told about the place it woke up in; None: as it was."""

    environ: Mapping[str, str] | None = None
    arguments: tuple[str, ...] | None = None
    """The command line that restored it, after `rookery`."""
    directory: str | None = None
    """The working directory of that command."""


class Driver(Protocol):
    """Something that snapshots this process while it waits."""

    name: str

    @property
    def descriptors(self) -> Collection[int]:
        """What this process holds open for the driver alone, and a restored one gets anew."""
        ...

    def wait(self) -> Restored | None:
        """Say that this process may be snapshotted, and block until it has been.

        Returns in the restored process with what it was told, and in the one that the snapshot
        was taken of, if that one goes on, with None.

        Raises:
            SnapshotFailed: whoever takes snapshots reports a failure, or is not there.
        """
        ...

    def report(self, refusal: str | None) -> None:
        """Say that a restored process serves now; or, with *refusal*, why it cannot."""
        ...
