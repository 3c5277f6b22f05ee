"""Every error Rookery raises, by what its sender should do about it.

    RookeryError
    ├── Rejected             final: the same input can never succeed
    │   ├── EventInvalid, EventForbidden, EventTooLarge
    │   ├── RequestInvalid, HeadersTooLarge, BodyTooLarge, UnsupportedMedia, TokenRefused
    │   ├── ImageError       ImageEmpty, ImageUndecodable, ImageTooLarge, FormatNotAllowed
    │   └── ObjectGone (ObjectReplaced), ObjectTooLarge, DeliveryRejected
    ├── Unavailable          retry: something we depend on is down or not ready yet
    │   └── StorageUnavailable, StorageDenied, SinkUnavailable (SinkDenied), RequestTooSlow,
    │       JournalUnavailable,
    │       QueueUnavailable, DedupUnavailable, ModelLoading, BackendFailed,
    │       DownloadUnavailable, SnapshotFailed
    ├── Overloaded           later: we are up, and full
    └── Misconfigured        the operator must act before anything can work
        └── SettingsInvalid, ModelNotFound, ModelInvalid, BackendMissing, DedupInvalid,
            FunctionInvalid, TriggersInvalid, PortTaken, StartFailed, CephMissing, CephInvalid,
            NotificationsInvalid, NotificationsRefused, SnapshotInvalid, SnapshotMismatch,
            SnapshotUnsafe, HookFailed, CriuMissing, QuantizationRefused

What each becomes as an HTTP status is one table in `rookery.status`.
"""

from collections.abc import Sequence


class RookeryError(Exception):
    """Base of every error raised on purpose. Its text is safe to show to a client."""

    @property
    def code(self) -> str:
        """The error's stable name in bodies, events, metrics and logs: its class name."""
        return type(self).__name__


# --- final ---------------------------------------------------------------------------------


class Rejected(RookeryError):
    """Final: the same input can never succeed, so it must not be retried."""


class EventInvalid(Rejected, ValueError):
    """The CloudEvent, or the object-created notification inside it, is malformed."""


class EventForbidden(Rejected):
    """The event names a bucket this function is not configured to read, or none may be read."""


class EventTooLarge(Rejected):
    """The events of one request to the broker, or of one reply, are longer than its limit."""


class RequestInvalid(Rejected, ValueError):
    """The HTTP request is malformed in a way that no other class names."""


class HeadersTooLarge(Rejected):
    """The request line and the headers are longer, or more, than the limit."""


class BodyTooLarge(Rejected):
    """The request body is longer than the limit."""

    def __init__(self, limit: int, *, length: int | None = None) -> None:
        """Say the *limit* in bytes and, where it was declared, the body's *length*."""
        self.limit = limit
        self.length = length
        size = "too long" if length is None else f"{length:,} bytes"
        super().__init__(
            f"the request body is {size}, the limit is {limit:,} bytes; "
            "send less, or raise it (ROOKERY_MAX_BODY_BYTES for a function)"
        )


class UnsupportedMedia(Rejected):
    """The content type is not one the function can take."""


class TokenRefused(Rejected, PermissionError):
    """The request has no bearer token that is accepted here."""


class ImageError(Rejected, ValueError):
    """The bytes cannot be used as an image."""


class ImageEmpty(ImageError):
    """There are no bytes to decode."""


class ImageUndecodable(ImageError):
    """The bytes are no image, or a damaged one."""


class ImageTooLarge(ImageError):
    """The image has more pixels or frames than the limit allows."""


class FormatNotAllowed(ImageError):
    """The bytes are an image of a format that is not on the allow-list."""


class ObjectGone(Rejected, LookupError):
    """The object the event names no longer exists."""


class ObjectReplaced(ObjectGone):
    """The object was overwritten since the event; the newer upload has its own event."""


class ObjectTooLarge(Rejected):
    """The object is larger than the limit for one image."""


class DeliveryRejected(Rejected):
    """The sink refused the event for good (a final 4xx)."""


# --- retry ---------------------------------------------------------------------------------


class Unavailable(RookeryError):
    """Retry: the input may be good, but something it needs is down or not ready."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        """Say what is unavailable, and after how many seconds a retry makes sense."""
        self.retry_after = retry_after
        super().__init__(message)


class StorageUnavailable(Unavailable, ConnectionError):
    """The object store does not answer, or answers with a server error."""


class StorageDenied(Unavailable, PermissionError):
    """The object store refuses our credentials: an operator can mend it, so it is tried again."""


class SinkUnavailable(Unavailable, ConnectionError):
    """The sink does not accept events at present."""


class SinkDenied(SinkUnavailable, PermissionError):
    """The sink does not accept our token: an operator can mend it, so it is tried again."""


class RequestTooSlow(Unavailable, TimeoutError):
    """The request did not arrive in time, or its answer was not read in time."""


class QueueUnavailable(Unavailable, ConnectionError):
    """The queue of bucket notifications does not answer, does not exist, or refuses us."""


class JournalUnavailable(Unavailable):
    """The broker cannot write to its journal (disk full, read-only, locked)."""


class DedupUnavailable(Unavailable, ConnectionError):
    """The store of a dedup window does not answer; what it would have saved is computed again."""


class ModelLoading(Unavailable):
    """The model is still being loaded or warmed."""


class BackendFailed(Unavailable):
    """The inference backend raised an error on a batch it should have taken."""


class DownloadUnavailable(Unavailable, ConnectionError):
    """A download cannot be made now: no network, or the server fails."""


class SnapshotFailed(Unavailable):
    """A snapshot could not be made or restored: CRIU, the disk or the process failed."""


# --- later ---------------------------------------------------------------------------------


class Overloaded(RookeryError):
    """Later: everything works, but the queue is full."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        """Say which queue is full, and after how many seconds a retry makes sense."""
        self.retry_after = retry_after
        super().__init__(message)


# --- the operator must act -----------------------------------------------------------------


class Misconfigured(RookeryError):
    """Nothing can work until the operator changes something; the message says what."""


class SettingsInvalid(Misconfigured, ValueError):
    """One or more settings are wrong; all problems are listed."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep the list of *problems*, one line each."""
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"{len(self.problems)} setting(s) cannot be used:\n{lines}")


class ModelNotFound(Misconfigured, LookupError):
    """The repository has no such model or version."""


class ModelInvalid(Misconfigured, ValueError):
    """A model's files, card, labels, signature or checksums do not fit together."""


class BackendMissing(Misconfigured, ImportError):
    """The backend's library is not installed."""


class QuantizationRefused(Misconfigured, ValueError):
    """A model cannot become int8, or not with these images without answering otherwise."""


class DedupInvalid(Misconfigured, ValueError):
    """The store of a dedup window cannot be opened: a damaged file, a missing library."""


class FunctionInvalid(Misconfigured, ValueError):
    """A function folder or its func.yaml cannot be used."""


class TriggersInvalid(Misconfigured, ValueError):
    """One or more Trigger documents are wrong; all problems are listed."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep the list of *problems*, one line each."""
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"{len(self.problems)} problem(s) in the triggers:\n{lines}")


class PortTaken(Misconfigured, OSError):
    """The address to listen on is in use."""


class StartFailed(Misconfigured):
    """A process ended, or did not become ready, while everything was being started."""


class CephMissing(Misconfigured, LookupError):
    """Programs of Ceph are not installed."""

    def __init__(self, packages: Sequence[str]) -> None:
        """Keep the Debian *packages* (or programs) that are missing."""
        self.packages = tuple(packages)
        super().__init__(
            f"{', '.join(self.packages)} {'is' if len(self.packages) == 1 else 'are'} not "
            "installed; install Ceph with: sudo apt-get install --no-install-recommends "
            f"{' '.join(self.packages)}"
        )


class CephInvalid(Misconfigured, ValueError):
    """The folder of the local Ceph cannot be used, or the node in it is not the wanted one."""


class NotificationsInvalid(Misconfigured, ValueError):
    """The file of bucket notifications is wrong; all problems are listed."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep the list of *problems*, one line each."""
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"{len(self.problems)} problem(s) in the notifications:\n{lines}")


class NotificationsRefused(Misconfigured):
    """The store does not take a notification as it is: no such bucket, topic or queue."""


class CriuMissing(Misconfigured, LookupError):
    """CRIU is not installed, or too old for this kernel."""


class SnapshotInvalid(Misconfigured, ValueError):
    """A directory is no snapshot, or a damaged or unfinished one."""


class SnapshotMismatch(Misconfigured):
    """A snapshot was made of other code, another model or another machine than is here."""

    def __init__(self, differences: Sequence[str]) -> None:
        """Keep the *differences*, one phrase each."""
        self.differences = tuple(differences)
        super().__init__(
            f"the snapshot does not fit: {'; '.join(self.differences)}; "
            "make a new one with: rookery snapshot create"
        )


class SnapshotUnsafe(Misconfigured):
    """The process holds what must not be in a snapshot; all offenders are listed."""

    def __init__(self, offenders: Sequence[str]) -> None:
        """Keep the list of *offenders*, one line each."""
        self.offenders = tuple(offenders)
        lines = "\n".join(f"  - {offender}" for offender in self.offenders)
        super().__init__(f"the process cannot be snapshotted, because it holds:\n{lines}")


class HookFailed(Misconfigured):
    """A function registered to run before a snapshot or after a restore failed or took too long."""
