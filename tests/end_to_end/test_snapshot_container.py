"""Snapshots in containers: made by the first, woken by the next, with as little as it takes."""

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from containers import usable_podman
from snapshot_processes import BOOTING, LISTENING, ROOT, ask, awake, command, probabilities

# One machine's podman, and its processes, are enough for one worker.
pytestmark = pytest.mark.xdist_group("containers")

ENTRYPOINT = ROOT / "functions" / "entrypoint"
PHOTOGRAPH = ROOT / "functions" / "classify" / "data" / "test1.jpg"

# The two that docs/snapshots.md describes.
WAYS = {
    "among the container's processes": ("CHECKPOINT_RESTORE", "SETPCAP"),
    "in a PID namespace of its own": ("SYS_ADMIN", "SETPCAP"),
}
LACKING = [(way, name) for way, held in WAYS.items() for name in held]


@pytest.fixture(scope="module")
def podman():
    # podman takes no longer path than 50 characters, which pytest's own folders have.
    with TemporaryDirectory(prefix="podman-", ignore_cleanup_errors=True) as state:
        yield usable_podman(Path(state))


@pytest.fixture(scope="module", params=WAYS)
def way(request):
    return request.param


@pytest.fixture(scope="module")
def settings(environ, criu, way, tmp_path_factory):
    """The entrypoint's environment; it names a folder that outlives containers."""
    return {
        **{name: value for name, value in environ.items() if name.startswith("ROOKERY_")},
        "ROOKERY_CRIU": criu,
        "ROOKERY_SNAPSHOT_DIR": str(tmp_path_factory.mktemp(f"volume-{way[:8]}")),
        "S3_ENABLED": "false",
        "PORT": "0",
        "PATH": f"{Path(sys.executable).parent}:{environ['PATH']}",
    }


@pytest.fixture(scope="module")
def start(podman, way, settings, environ, launch):
    """Run the entrypoint in a container of its own."""

    def run(*arguments, by=ENTRYPOINT, capabilities=WAYS[way], confined=True, **more):
        container = podman.run(
            str(by),
            *arguments,
            capabilities=capabilities,
            confined=confined,
            volumes=[Path(settings[name]) for name in ("ROOKERY_HOME", "ROOKERY_SNAPSHOT_DIR")],
            environ=[f"{name}={value}" for name, value in {**settings, **more}.items()],
        )
        return launch(container, environ)

    return run


@pytest.fixture(scope="module")
def first(start, settings):
    """The snapshot that the first container left behind, and what it answered with it."""
    with start("classify", confined=False) as container:
        answer = ask(awake(container), body=PHOTOGRAPH.read_bytes())
    assert container.text.count("dumped in") == 1
    (made,) = Path(settings["ROOKERY_SNAPSHOT_DIR"]).glob("classify-*")
    return made, answer


def test_the_next_container_wakes_what_the_first_made_and_answers_the_same(start, first):
    _, (status, answer) = first
    with start("classify") as container:
        again, body = ask(awake(container), body=PHOTOGRAPH.read_bytes())
    assert "dumped in" not in container.text
    assert (status, again) == (200, 200)
    assert probabilities(body) == probabilities(answer)


@pytest.mark.usefixtures("first")
def test_a_container_that_is_stopped_ends_in_order(start):
    with start("classify") as container:
        awake(container)
        container.process.terminate()
        assert container.ends() == 0


@pytest.mark.parametrize(("way", "missing"), LACKING, indirect=["way"])
def test_without_one_capability_the_function_boots_at_once(start, first, way, missing):
    made, _ = first
    held = [name for name in WAYS[way] if name != missing]
    arguments = ("serve", "classify", "--snapshot", str(made))
    with start(*arguments, by=command()[0], capabilities=held) as container:
        url = container.said(LISTENING)[1]
        container.said("is ready after")
        assert ask(url, body=PHOTOGRAPH.read_bytes())[0] == 200
    reason = re.search(BOOTING, container.text, re.MULTILINE)[1]
    # CRIU was not even asked: without CAP_SETPCAP it hangs over a process of many threads.
    assert re.search("takes CAP_|more capabilities than there are here", reason)


def test_a_container_that_is_stopped_while_it_makes_a_snapshot_leaves_nothing(start, first):
    made, _ = first
    # With another setting it makes another one.
    with start("classify", confined=False, ROOKERY_TOP_K="3") as container:
        container.said("warming classify up")
        container.process.terminate()
        assert container.ends() == 143
    assert "dumped in" not in container.text
    assert [*made.parent.iterdir()] == [made]


def test_a_container_that_may_not_make_a_snapshot_boots(start, first, tmp_path):
    made, _ = first
    hidden = made.rename(tmp_path / "hidden")
    try:
        with start("classify", capabilities=()) as container:
            url = container.said(LISTENING)[1]
            container.said("is ready after")
            assert ask(url, body=PHOTOGRAPH.read_bytes())[0] == 200
        assert [*made.parent.iterdir()] == []
    finally:
        hidden.rename(made)


def test_what_was_made_is_not_made_again(start, first):
    made, _ = first
    before = (made / "manifest.json").stat().st_mtime_ns
    with start("--make", "classify", confined=False) as container:
        assert container.ends() == 0
    assert (made / "manifest.json").stat().st_mtime_ns == before
    assert [*made.parent.iterdir()] == [made]
