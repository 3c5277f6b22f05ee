"""Starts and stops one daemon, with what has to be done around it."""

import time
from pathlib import Path
from typing import Final

import urllib3

from rookery.errors import StartFailed
from rookery.storage.ceph import daemons
from rookery.storage.ceph.conf import HOST, Conf
from rookery.storage.ceph.daemons import MON, OSD, RGW, Daemon
from rookery.storage.ceph.queues import release_queues

_POLL_SECONDS: Final = 0.02
_ANSWER_SECONDS: Final = 60
_STOP_SECONDS: Final = {MON: 15, OSD: 60, RGW: 15}
# Beside the memory store, while what is in it is on disk too.
_CLEAN: Final = "clean"


def start_daemon(conf: Conf, daemon: Daemon) -> None:
    """Start *daemon* and return when it works: radosgw, when the S3 API answers.

    Raises:
        StartFailed: it ended instead, or does not answer; the message holds its last words.
    """
    if daemon is OSD:
        (conf.folder / _CLEAN).unlink(missing_ok=True)
    if daemon is RGW:
        release_queues(conf.folder)
    daemons.start(conf.folder, daemon)
    if daemon is RGW:
        _await_answer(conf)


def stop_daemon(folder: Path, daemon: Daemon) -> bool:
    """Stop *daemon*; return whether it ended without being killed."""
    if not daemons.is_running(folder, daemon):
        return True
    ended = daemons.stop(folder, daemon, seconds=_STOP_SECONDS[daemon])
    if daemon is OSD and ended:
        (folder / _CLEAN).touch()
    return ended


def has_lost_objects(conf: Conf) -> bool:
    """Say whether the store was in memory only when its OSD ended."""
    return (
        conf.store == "memstore"
        and not daemons.is_running(conf.folder, OSD)
        and not (conf.folder / _CLEAN).exists()
    )


def answers(port: int) -> bool:
    """Say whether the S3 API on *port* answers."""
    try:
        reply = urllib3.request("GET", f"http://{HOST}:{port}/", timeout=2, retries=False)
    except urllib3.exceptions.HTTPError:
        return False
    return reply.status < 500  # noqa: PLR2004


def _await_answer(conf: Conf) -> None:
    deadline = time.monotonic() + _ANSWER_SECONDS
    while not answers(conf.port):
        words = daemons.log_tail(conf.folder, RGW)
        if not daemons.is_running(conf.folder, RGW):
            raise StartFailed(f"radosgw ended: {words}")
        if time.monotonic() > deadline:
            raise StartFailed(
                f"radosgw did not answer on port {conf.port} within {_ANSWER_SECONDS} s: {words}"
            )
        time.sleep(_POLL_SECONDS)
