"""Makes a node that was never there: its folder, its keys, an empty monitor and an empty OSD."""

import shutil
import uuid
from pathlib import Path
from typing import Final

from rookery.errors import CephInvalid
from rookery.storage.ceph.conf import FILE, Conf, monitor_addresses, render
from rookery.storage.ceph.daemons import DAEMONS, kill
from rookery.storage.ceph.tools import plain, run

# What says that a folder is ours to delete; it is the first thing in it.
_MARK: Final = "made-by-rookery"
_FOLDERS: Final = ("mon", "osd", "rgw", "run", "logs", "crash")
_GIBIBYTE: Final = 1024**3
_SPARE_BYTES: Final = _GIBIBYTE // 2
_CAPABILITIES: Final = (
    ("mon.", ("mon", "allow *")),
    ("client.admin", ("mon", "allow *", "osd", "allow *", "mgr", "allow *")),
    ("client.rgw", ("mon", "allow rw", "osd", "allow rwx")),
    ("osd.0", ("mon", "allow profile osd", "osd", "allow *")),
)


def make_folder(folder: Path) -> None:
    """Make *folder*, which is not there, for its owner alone.

    Raises:
        CephInvalid: it cannot be made.
    """
    if set(str(folder)) & set(" ,;=\"'#[]\t\n"):
        # ceph.conf has no way to write them that every one of Ceph's programs reads alike.
        raise CephInvalid(
            f"Ceph's settings cannot hold the path {str(folder)!r}: set ROOKERY_HOME to a folder "
            "without spaces, quotes and punctuation"
        )
    try:
        folder.mkdir(mode=0o700, parents=True)
        (folder / _MARK).touch()
        for name in _FOLDERS:
            (folder / name).mkdir(mode=0o700)
    except OSError as exc:
        raise CephInvalid(
            f"{folder} cannot be made: {exc.strerror}; set ROOKERY_HOME to a folder you may "
            "write to"
        ) from exc


def delete_folder(folder: Path) -> None:
    """Delete the node in *folder*, whatever state it is in; its daemons are killed.

    Raises:
        CephInvalid: the folder is not one that `make_folder` made.
    """
    if not folder.exists():
        return
    if any(folder.iterdir()) and not (folder / _MARK).exists():
        raise CephInvalid(
            f"{folder} holds something that no rookery made; move it away, or set ROOKERY_HOME "
            "to another folder"
        )
    for daemon in reversed(DAEMONS):
        kill(folder, daemon)
    # The mark goes last, so that a deletion that is interrupted can be taken up again.
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != _MARK:
            entry.unlink()
    shutil.rmtree(folder)


def require_space(folder: Path, store_bytes: int) -> None:
    """See to it that the disk can hold what the node promises to: the store's file is sparse.

    Raises:
        CephInvalid: it cannot.
    """
    home = next(parent for parent in folder.parents if parent.exists())
    free = shutil.disk_usage(home).free
    if free < store_bytes + _SPARE_BYTES:
        raise CephInvalid(
            f"the disk of {home} has {free / _GIBIBYTE:.1f} GiB left, and the node may grow to "
            f"{store_bytes / _GIBIBYTE:.1f} GiB; make it smaller with --size-gib"
        )


def write_conf(conf: Conf) -> None:
    """Write the node's ceph.conf."""
    (conf.folder / FILE).write_text(render(conf), encoding="utf-8")


def make_monitor(conf: Conf) -> None:
    """Make the keys of every daemon, and the monitor's empty store."""
    folder = conf.folder
    keyring = str(folder / "keyring")
    plain("ceph-authtool", "--create-keyring", keyring)
    for name, capabilities in _CAPABILITIES:
        pairs = zip(capabilities[::2], capabilities[1::2], strict=True)
        caps = [word for pair in pairs for word in ("--cap", *pair)]
        plain("ceph-authtool", keyring, "--gen-key", "-n", name, *caps)
    write_monmap(conf)
    run(
        folder, "ceph-mon", "--mkfs", "-i", "a", "--monmap", str(folder / "monmap"),
        "--keyring", keyring,
    )  # fmt: skip


def write_monmap(conf: Conf) -> None:
    """Write the map that says where the monitor listens."""
    addresses = f"[{monitor_addresses(conf.mon_ports)}]"
    plain(
        "monmaptool", "--create", "--clobber", "--fsid", conf.fsid, "--addv", "a", addresses,
        str(conf.folder / "monmap"),
    )  # fmt: skip


def move_monitor(conf: Conf) -> None:
    """Let the monitor, which does not run, listen where *conf* says."""
    write_monmap(conf)
    monmap = str(conf.folder / "monmap")
    run(conf.folder, "ceph-mon", "-i", "a", "--inject-monmap", monmap)


def make_osd(folder: Path) -> None:
    """Register the OSD with the running monitor, and make its empty store."""
    identity = str(uuid.uuid4())
    run(folder, "ceph", "osd", "new", identity)
    run(folder, "ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
