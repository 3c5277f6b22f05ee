"""Which of Ceph's programs are missing, and the Debian packages that bring them."""

import shutil
from typing import Final

from rookery.errors import CephMissing

# The package that a user names, for every program that we run; the rest are its dependencies.
_PACKAGES: Final = {
    "ceph-mon": "ceph-mon",
    "monmaptool": "ceph-mon",
    "ceph": "ceph-mon",
    "rados": "ceph-mon",
    "ceph-authtool": "ceph-mon",
    "ceph-osd": "ceph-osd",
    "radosgw": "radosgw",
    "radosgw-admin": "radosgw",
}


def missing_packages(path: str | None = None) -> tuple[str, ...]:
    """Return the Debian packages whose programs are not on *path* (`PATH` without it)."""
    wanted = (
        package for program, package in _PACKAGES.items() if not shutil.which(program, path=path)
    )
    return tuple(dict.fromkeys(wanted))


def require_packages() -> None:
    """See to it that every program is there.

    Raises:
        CephMissing: with the packages to install.
    """
    if missing := missing_packages():
        raise CephMissing(missing)
