"""Snapshots in containers: made by the first, woken by the next, with as little as it takes."""

import re
import sys
from pathlib import Path

import pytest

from containers import usable_podman
from snapshot_processes import BOOTING, LISTENING, ROOT, ask, awake, probabilities

ENTRYPOINT = ROOT / "functions" / "entrypoint"
PHOTOGRAPH = ROOT / "functions" / "classify" / "data" / "test1.jpg"

# What docs/snapshots.md asks for; taking any of them away is tried below.
NEEDED = ("SYS_ADMIN", "NET_ADMIN", "SYS_CHROOT", "SYS_TIME", "SETPCAP")


@pytest.fixture(scope="module")
def podman(tmp_path_factory, criu):
    return usable_podman(tmp_path_factory.mktemp("podman"))


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    """A folder of this machine that outlives its containers."""
    return tmp_path_factory.mktemp("volume")


@pytest.fixture(scope="module")
def start(podman, volume, launch, environ, criu, fixed_home):
    """Start the entrypoint in a container of its own."""
    programs = f"{Path(sys.executable).parent}:{environ['PATH']}"
    ours = {name: value for name, value in environ.items() if name.startswith("ROOKERY_")}
    ours |= {"PORT": "0", "S3_ENABLED": "false", "PATH": programs, "ROOKERY_CRIU": criu}
    ours |= {"ROOKERY_SNAPSHOT_DIR": str(volume)}

    def run(*arguments, capabilities=NEEDED, confined=True):
        container = podman.run(
            str(ENTRYPOINT),
            *arguments,
            capabilities=capabilities,
            confined=confined,
            volumes=(volume, fixed_home),
            environ=[f"{name}={value}" for name, value in ours.items()],
        )
        return launch(container, environ)

    return run


@pytest.fixture(scope="module")
def snapshot(start, volume):
    """The snapshot that a container left behind, which has served from it."""
    with start("classify", confined=False) as container:
        url = awake(container)
        answer = ask(url, body=PHOTOGRAPH.read_bytes())
    assert container.text.count("dumped in") == 1
    (made,) = volume.glob("classify-*")
    return made, answer


def test_the_next_container_wakes_what_the_first_made_and_answers_the_same(start, snapshot):
    made, (status, answer) = snapshot
    with start("classify") as container:
        again, body = ask(awake(container), body=PHOTOGRAPH.read_bytes())
    assert "dumped in" not in container.text
    assert (status, again) == (200, 200)
    assert probabilities(body) == probabilities(answer)
    assert (made.stat().st_mode & 0o777, made.parent.stat().st_uid) == (0o700, 0)


def test_a_container_that_is_stopped_ends_in_order(start, snapshot):
    with start("classify") as container:
        awake(container)
        container.process.terminate()
        assert container.ends() == 0


@pytest.mark.parametrize("missing", NEEDED)
def test_every_capability_is_needed_and_without_it_the_function_boots(start, snapshot, missing):
    held = [name for name in NEEDED if name != missing]
    with start("classify", capabilities=held) as container:
        url = container.said(LISTENING)[1]
        container.said("is ready after")
        assert ask(url, body=PHOTOGRAPH.read_bytes())[0] == 200
    assert re.search(BOOTING, container.text, re.MULTILINE), container.text


def test_a_container_that_may_not_make_a_snapshot_boots(start, snapshot, volume, tmp_path):
    made, _ = snapshot
    hidden = made.rename(tmp_path / "hidden")
    try:
        with start("classify", capabilities=()) as container:
            url = container.said(LISTENING)[1]
            container.said("is ready after")
            assert ask(url, body=PHOTOGRAPH.read_bytes())[0] == 200
        assert list(volume.glob(".*")) == []
    finally:
        hidden.rename(made)


def test_a_snapshot_is_made_ahead_of_the_first_start(start, snapshot, volume):
    made, _ = snapshot
    before = (made / "manifest.json").stat().st_mtime_ns
    with start("--make", "classify", confined=False) as container:
        assert container.ends() == 0
    assert (made / "manifest.json").stat().st_mtime_ns == before
    assert [*volume.iterdir()] == [made]
