"""The node's ceph.conf, as text: nothing here touches the machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

HOST: Final = "127.0.0.1"
FILE: Final = "ceph.conf"

Store = Literal["bluestore", "memstore"]


@dataclass(frozen=True, slots=True)
class Conf:
    """What differs from node to node.

    Attributes:
        mon_ports: of the monitor, for messenger 2 and messenger 1.
        store_bytes: how much the object store may hold.
    """

    folder: Path
    fsid: str
    port: int
    mon_ports: tuple[int, int]
    store: Store
    store_bytes: int


def monitor_addresses(mon_ports: tuple[int, int]) -> str:
    """Return the monitor's addresses as Ceph writes them."""
    new, old = mon_ports
    return f"v2:{HOST}:{new},v1:{HOST}:{old}"


def render(conf: Conf) -> str:
    """Write ceph.conf for a cluster of one of each daemon, on loopback, without a manager."""
    d = conf.folder
    return f"""\
# Written by `rookery ceph up` at every start; what is changed here is lost.
[global]
fsid = {conf.fsid}
mon host = {monitor_addresses(conf.mon_ports)}
public addr = {HOST}
cluster addr = {HOST}

# radosgw cannot start without cephx.
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = {d}/keyring

run dir = {d}/run
pid file = {d}/run/$name.pid
log file = {d}/logs/$name.log
crash dir = {d}/crash
# A socket's path may have 107 characters, a folder's more.
admin socket =
log max recent = 100

# One copy on one disk, and no manager to tune the number of placement groups.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon warn on pool no redundancy = false
# There is no manager, and none is missed.
mon mgr mkfs grace = 315360000
# The disk is the user's: what else fills it is not ours to warn about before 1 % is left.
mon data avail warn = 1
mon data avail crit = 1
# A monitor alone need not wait for others: pools are made in milliseconds, not seconds.
paxos propose interval = 0.05
paxos min wait = 0.01

# Every level is also kept in memory for a crash report; that costs more than requests do.
debug rgw = 1/1
debug osd = 0/0
debug bluestore = 0/0
debug bluefs = 0/0
debug bdev = 0/0
debug rocksdb = 1/1
debug mon = 0/0
debug paxos = 0/0
debug auth = 0/0

[mon.a]
mon data = {d}/mon

[osd.0]
osd data = {d}/osd
osd objectstore = {conf.store}
memstore device bytes = {conf.store_bytes}
bluestore block size = {conf.store_bytes}
bluestore block db create = false
bluestore block wal create = false
bluestore cache autotune = false
bluestore cache size = 134217728
# A memory store is written to disk when it is unmounted, which a fast shutdown leaves out.
osd fast shutdown = {"true" if conf.store == "bluestore" else "false"}

[client.rgw]
rgw data = {d}/rgw
rgw frontends = beast endpoint={HOST}:{conf.port}
rgw thread pool size = 64
rgw enable usage log = false
# Deleted data is given back soon: the disk is small.
rgw gc obj min wait = 60
rgw gc processor period = 60
"""
