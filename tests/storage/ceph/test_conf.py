import configparser
from pathlib import Path

import pytest

from rookery.storage.ceph.conf import Conf, render

FOLDER = Path("/srv/home/ceph")


def rendered(**changes):
    values = {
        "folder": FOLDER,
        "fsid": "0f6ae2e0-0000-4000-8000-000000000001",
        "port": 7480,
        "mon_ports": (20001, 20002),
        "store": "bluestore",
        "store_bytes": 1024**3,
    }
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(render(Conf(**values | changes)))
    return parser


def test_everything_listens_on_loopback_alone():
    conf = rendered()
    assert conf["global"]["mon host"] == "v2:127.0.0.1:20001,v1:127.0.0.1:20002"
    assert conf["global"]["public addr"] == "127.0.0.1"
    assert conf["global"]["cluster addr"] == "127.0.0.1"
    assert conf["client.rgw"]["rgw frontends"] == "beast endpoint=127.0.0.1:7480"


@pytest.mark.parametrize("side", ["cluster", "service", "client"])
def test_every_side_must_know_a_key(side):
    assert rendered()["global"][f"auth {side} required"] == "cephx"


def test_every_path_is_below_the_folder():
    paths = [
        value
        for section in rendered().values()
        for value in section.values()
        if value.startswith("/")
    ]
    assert len(paths) > 6
    assert all(path.startswith(f"{FOLDER}/") for path in paths)


@pytest.mark.parametrize(("store", "fast"), [("bluestore", "true"), ("memstore", "false")])
def test_only_a_store_on_disk_may_end_without_being_unmounted(store, fast):
    osd = rendered(store=store)["osd.0"]
    assert (osd["osd objectstore"], osd["osd fast shutdown"]) == (store, fast)


def test_the_store_is_as_large_as_asked_for():
    osd = rendered(store_bytes=5 * 1024**3)["osd.0"]
    assert osd["bluestore block size"] == osd["memstore device bytes"] == str(5 * 1024**3)
