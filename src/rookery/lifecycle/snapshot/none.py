"""No snapshots: the process boots, and serves."""

from rookery.lifecycle.snapshot.protocol import Restored


class NoSnapshots:
    """The driver of a process that nobody snapshots."""

    name = "none"
    descriptors = ()

    def wait(self) -> Restored | None:
        """Return at once."""
        return None

    def report(self, refusal: str | None) -> None:
        """Nobody is listening."""
