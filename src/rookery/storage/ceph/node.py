"""Brings the node up and takes it down; what is there already is kept."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rookery.errors import CephInvalid, PortTaken
from rookery.free_ports import free_ports, is_free
from rookery.storage.ceph import daemons, making
from rookery.storage.ceph.conf import Conf, Store
from rookery.storage.ceph.control import has_lost_objects, start_daemon, stop_daemon
from rookery.storage.ceph.daemons import DAEMONS, MON, OSD, RGW, Daemon
from rookery.storage.ceph.locking import locked
from rookery.storage.ceph.packages import require_packages
from rookery.storage.ceph.state import CephNode, node_folder, read_node, write_node
from rookery.storage.ceph.user import check_user, make_user

DEFAULT_PORT: Final = 7480
DEFAULT_BYTES: Final = 10 * 1024**3


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `up` asks for; None takes what the node has, or the default.

    Attributes:
        port: of the S3 API; 0 picks a free one.
    """

    port: int | None = None
    store: Store | None = None
    store_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """Whom to tell how it goes.

    Attributes:
        stage: a part that is done, and the seconds it took.
        note: something a user should know.
    """

    stage: Callable[[str, float], None]
    note: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BroughtUp:
    """A node that is up, and whether `bring_up` had nothing to do."""

    node: CephNode
    was_up: bool


def bring_up(home: Path, wanted: Wanted, told: Told) -> BroughtUp:
    """Make the node of *home* where there is none, and start whatever of it does not run.

    Raises:
        CephMissing: Ceph is not installed.
        CephInvalid: the folder cannot be used, or the node is another than the wanted one.
        PortTaken: the port of the S3 API is in use.
        StartFailed: a part did not start; the message holds its last words.
        Unavailable: another process brings it up or takes it down, and does not come to an end.
    """
    require_packages()
    folder = node_folder(home)
    with locked(home, on_wait=lambda: told.note("waiting for another rookery ceph …")):
        node = read_node(home)
        if node is None:
            if folder.exists():
                told.note(f"an earlier start did not get to its end; making {folder} anew")
            return BroughtUp(_make(folder, wanted, told), was_up=False)
        _require_same(node, wanted)
        if has_lost_objects(node.conf):
            told.note("the memory node was not stopped cleanly, and its objects are gone")
            port = node.port if wanted.port is None else wanted.port
            again = Wanted(port, node.store, node.store_bytes)
            return BroughtUp(_make(folder, again, told), was_up=False)
        if all(daemons.is_running(folder, daemon) for daemon in DAEMONS):
            _require_port(node, wanted)
            check_user(folder)
            return BroughtUp(node, was_up=True)
        return BroughtUp(_start_again(node, wanted, told), was_up=False)


def take_down(home: Path, *, delete: bool, told: Told) -> bool:
    """Stop the node of *home*, and *delete* it with its data; return whether any of it ran.

    Raises:
        CephInvalid: the folder to delete is none of ours.
        Unavailable: another process brings it up or takes it down, and does not come to an end.
    """
    folder = node_folder(home)
    with locked(home, on_wait=lambda: told.note("waiting for another rookery ceph …")):
        running = [each for each in reversed(DAEMONS) if daemons.is_running(folder, each)]
        for daemon in running:
            began = time.monotonic()
            if not stop_daemon(folder, daemon):
                told.note(f"{daemon.name} did not end in time, and was killed")
            told.stage(daemon.name, time.monotonic() - began)
        if delete:
            making.delete_folder(folder)
        return bool(running)


def restart_radosgw(home: Path, told: Told) -> None:
    """Start the radosgw of a running node again, so that it looks at its topics anew.

    Raises:
        StartFailed: it does not start; the message holds its last words.
        Unavailable: another process brings the node up or takes it down.
    """
    with locked(home, on_wait=lambda: told.note("waiting for another rookery ceph …")):
        node = read_node(home)
        # Not if it runs itself: a start that failed must not be the last.
        if node is not None and all(daemons.is_running(node.folder, each) for each in (MON, OSD)):
            began = time.monotonic()
            stop_daemon(node.folder, RGW)
            start_daemon(node.conf, RGW)
            told.stage(RGW.name, time.monotonic() - began)


def _require_same(node: CephNode, wanted: Wanted) -> None:
    different = [
        f"{what} {has}, not {wants}"
        for what, has, wants in (
            ("its store is", node.store, wanted.store),
            ("its size is", node.store_bytes, wanted.store_bytes),
        )
        if wants not in {None, has}
    ]
    if different:
        raise CephInvalid(
            f"there is a node in {node.folder} already: {' and '.join(different)}; delete it and "
            "its data with: rookery ceph down --delete"
        )


def _require_port(node: CephNode, wanted: Wanted) -> None:
    if wanted.port not in {None, 0, node.port}:
        raise CephInvalid(
            f"the node is up on port {node.port}; for port {wanted.port}, stop it first with: "
            "rookery ceph down"
        )


def _make(folder: Path, wanted: Wanted, told: Told) -> CephNode:
    size = wanted.store_bytes or DEFAULT_BYTES
    store = wanted.store or "bluestore"
    making.delete_folder(folder)
    port = _s3_port(DEFAULT_PORT if wanted.port is None else wanted.port)
    if store == "bluestore":
        making.require_space(folder, size)
    making.make_folder(folder)
    new, old = free_ports(2, besides={port})
    conf = Conf(folder, str(uuid.uuid4()), port, (new, old), store, size)
    making.write_conf(conf)
    _start(conf, MON, told, first=lambda: making.make_monitor(conf))
    _start(conf, OSD, told, first=lambda: making.make_osd(folder))
    _start(conf, RGW, told)
    keys = make_user(folder)
    node = CephNode(
        folder, conf.fsid, port, conf.mon_ports, store, size, keys.access_key, keys.secret_key
    )
    write_node(node)
    return node


def _start_again(node: CephNode, wanted: Wanted, told: Told) -> CephNode:
    folder = node.folder
    if daemons.is_running(folder, RGW):
        _require_port(node, wanted)
    else:
        node = replace(node, port=_s3_port(node.port if wanted.port is None else wanted.port))
    move = not daemons.is_running(folder, MON) and not all(map(is_free, node.mon_ports))
    if move:
        told.note("another program has the monitor's ports; it gets new ones")
        for daemon in (RGW, OSD):
            stop_daemon(folder, daemon)  # they know the old ones
        new, old = free_ports(2, besides={node.port})
        node = replace(node, mon_ports=(new, old))
    making.write_conf(node.conf)
    if move:
        making.move_monitor(node.conf)
    write_node(node)
    for daemon in DAEMONS:
        if not daemons.is_running(folder, daemon):
            _start(node.conf, daemon, told)
    check_user(folder)
    return node


def _s3_port(port: int) -> int:
    if port == 0:
        return free_ports(1)[0]
    if not is_free(port):
        raise PortTaken(
            f"port {port} for Ceph's S3 is taken: free it, or choose another with --port"
        )
    return port


def _start(
    conf: Conf, daemon: Daemon, told: Told, *, first: Callable[[], None] = lambda: None
) -> None:
    began = time.monotonic()
    first()
    start_daemon(conf, daemon)
    told.stage(daemon.name, time.monotonic() - began)
