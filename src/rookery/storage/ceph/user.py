"""The S3 user of the node; Ceph makes the keys, so that no command line ever holds them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rookery.errors import StartFailed
from rookery.storage.ceph.daemons import RGW
from rookery.storage.ceph.tools import run

_USER: Final = "rookery"
_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Keys:
    """What an S3 client signs with."""

    access_key: str
    secret_key: str = field(repr=False)


def make_user(folder: Path) -> Keys:
    """Make the user, or find the one that is there; return its first keys.

    Raises:
        StartFailed: radosgw-admin failed, or answered something else.
    """
    listed = json.loads(_admin(folder, "user", "list"))
    if _USER in listed:
        said = _admin(folder, "user", "info", "--uid", _USER)
    else:
        said = _admin(folder, "user", "create", "--uid", _USER, "--display-name", "Rookery")
    try:
        first = json.loads(said)["keys"][0]
        return Keys(first["access_key"], first["secret_key"])
    except (ValueError, LookupError, TypeError) as exc:
        # What it said may hold a key: the message does not.
        raise StartFailed(f"radosgw-admin described {_USER} without keys") from exc


def check_user(folder: Path) -> None:
    """See to it that radosgw's pools answer; a hung OSD does not.

    Raises:
        StartFailed: they do not.
    """
    _admin(folder, "user", "info", "--uid", _USER)


def _admin(folder: Path, *arguments: str) -> str:
    # Under radosgw's own name, but not into its log.
    return run(folder, "radosgw-admin", "-n", RGW.name, "--log-file=", *arguments, seconds=_SECONDS)
