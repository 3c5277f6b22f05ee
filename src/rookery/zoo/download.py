"""Fetches one large file: with progress, resumed where it stopped, and whole or not at all."""

import fcntl
import hashlib
import logging
import os
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import urllib3

from rookery.errors import DownloadUnavailable, ModelInvalid

# (bytes so far, bytes in all or None where the server does not say)
Progress = Callable[[int, int | None], None]

_log = logging.getLogger(__name__)

_CHUNK: Final = 1024 * 1024
_ATTEMPTS: Final = 4
_TIMEOUT: Final = urllib3.Timeout(connect=10, read=30)
# Redirects are followed; everything else is retried here, where the part file is known.
_RETRIES: Final = urllib3.Retry(total=None, connect=0, read=0, redirect=5, status=0, other=0)
_OK: Final = 200
_PARTIAL: Final = 206
_RANGE_NOT_SATISFIABLE: Final = 416
_SERVER_ERROR: Final = 500
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a publisher says a file hashes to."""

    algorithm: Literal["sha256", "sha1", "md5"]
    hexdigest: str

    def of(self, path: Path) -> str:
        """Return the digest that the file at *path* really has."""
        with path.open("rb") as file:
            return hashlib.file_digest(file, self.algorithm).hexdigest()


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A published file: where it is, what it hashes to, and how long it is at most."""

    url: str
    checksum: Checksum
    max_bytes: int


def silent(done: int, total: int | None) -> None:
    """Show no progress."""
    del done, total


def fetch(remote: RemoteFile, folder: Path, progress: Progress = silent) -> Path:
    """Return the path of *remote* under *folder*, downloaded unless it is there already.

    What arrived before a connection broke is kept as `NAME.part` and continued, within this
    call and by the next one. The file appears under its own name only when its checksum is right.

    Raises:
        DownloadUnavailable: no network, or the server fails or refuses.
        ModelInvalid: the file is not the published one; it was deleted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / Path(urlsplit(remote.url).path).name
    with _only_one(folder):
        if target.exists():
            _check(target, remote)
            return target
        part = target.with_name(f"{target.name}.part")
        _receive(remote, part, progress)
        _check(part, remote)
        part.replace(target)
        return target


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let one process at a time download into *folder*: two would write into one part file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _receive(remote: RemoteFile, part: Path, progress: Progress) -> None:
    pool = _pool(remote.url)
    failure: Exception | None = None
    for _ in range(_ATTEMPTS):
        before = _length(part)
        try:
            if _continue(pool, remote, part, progress):
                return
        except urllib3.exceptions.HTTPError as exc:
            failure = exc
            _log.info("download of %s stopped at %d bytes: %s", remote.url, _length(part), exc)
            if _length(part) == before:
                break  # Nothing came: the network is away, not merely poor.
    raise DownloadUnavailable(
        f"{remote.url} cannot be downloaded: {_cause(failure)}; run the command again to continue, "
        "or give a file you have with --file",
        retry_after=30,
    ) from failure


def _continue(
    pool: urllib3.PoolManager, remote: RemoteFile, part: Path, progress: Progress
) -> bool:
    """Append what is missing to *part*; return whether it is complete."""
    have = _length(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    response = pool.request("GET", remote.url, headers=headers, preload_content=False)
    try:
        if response.status == _RANGE_NOT_SATISFIABLE:
            # Complete already, or longer than the file: the checksum will tell.
            return True
        start, total = _extent(response, remote, have)
        # "r+b" and not "ab": a server that ignores Range starts again at 0.
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            done = start
            # Not stream(): it drops what it holds of a chunk when the connection breaks.
            while chunk := response.read1(_CHUNK):
                done += len(chunk)
                if done > remote.max_bytes:
                    part.unlink()
                    raise ModelInvalid(
                        f"{remote.url} is longer than the {remote.max_bytes:,} bytes it may have"
                    )
                file.write(chunk)
                progress(done, total)
            file.flush()
            os.fsync(file.fileno())
    finally:
        response.close()
    return total is None or done == total


def _extent(
    response: urllib3.BaseHTTPResponse, remote: RemoteFile, have: int
) -> tuple[int, int | None]:
    """Return where the body starts in the file, and the file's length where it is known."""
    if response.status == _PARTIAL:
        matched = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if matched and int(matched[1]) == have:
            return have, None if matched[2] == "*" else int(matched[2])
    if response.status == _OK:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    raise DownloadUnavailable(
        f"{remote.url} answers {response.status} {response.reason or ''}".rstrip()
        + "; give a file you have with --file",
        retry_after=30 if response.status >= _SERVER_ERROR else 3600,
    )


def _check(path: Path, remote: RemoteFile) -> None:
    found = remote.checksum.of(path)
    if found != remote.checksum.hexdigest:
        path.unlink()
        raise ModelInvalid(
            f"{remote.url} is not the published file: its {remote.checksum.algorithm} is {found}, "
            f"not {remote.checksum.hexdigest}; it was deleted, run the command again"
        )


def _pool(url: str) -> urllib3.PoolManager:
    """Return a client that uses the proxy the environment names for *url*, if any."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy, timeout=_TIMEOUT, retries=_RETRIES)
    return urllib3.PoolManager(timeout=_TIMEOUT, retries=_RETRIES)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _cause(failure: Exception | None) -> str:
    if isinstance(failure, urllib3.exceptions.MaxRetryError) and failure.reason is not None:
        failure = failure.reason
    if failure is None or isinstance(failure, urllib3.exceptions.ProtocolError):
        return "the connection keeps breaking"
    # urllib3 puts the connection object in front of what went wrong.
    return str(failure).partition(": ")[2] or str(failure)
