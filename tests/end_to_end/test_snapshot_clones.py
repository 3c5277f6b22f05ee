"""Clones of one snapshot: what each has of its own, what it is told, and how it ends."""

import json
import os
import re
import signal
import socket
import threading
from contextlib import ExitStack
from hashlib import md5
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rookery.snapshots import kernel
from snapshot_processes import (
    BOOTING,
    LISTENING,
    TWIN,
    ask,
    awake,
    children,
    clone_of,
    command,
    created,
    exists,
    for_criu,
    probabilities,
    program,
)

PHOTOGRAPH = Path(__file__).parents[2] / "functions" / "classify" / "data" / "test1.jpg"


@pytest.fixture(scope="module")
def environment(environ, criu):
    return {**environ, "ROOKERY_CRIU": criu}


@pytest.fixture(scope="module")
def snapshot(environment, tmp_path_factory):
    return created(TWIN, tmp_path_factory.mktemp("snapshots") / "twin", environment)


@pytest.fixture
def wake(launch, environment, snapshot, tmp_path):
    """Start launchers of the snapshot; what each one's hooks noted is in the file `notes`."""
    with ExitStack() as running:
        number = iter(range(100))

        def start(*options, **env):
            notes = tmp_path / f"notes-{next(number)}"
            launched = running.enter_context(
                launch(
                    command("serve", str(TWIN), "--snapshot", str(snapshot), *options),
                    {**environment, "TWIN_NOTES": str(notes), **env},
                )
            )
            launched.notes = notes
            return launched

        yield start


def notes_of(launched):
    return json.loads(launched.notes.read_text())


# --- two clones at the same time --------------------------------------------------------------


def test_clones_draw_different_numbers(wake):
    one, other = wake(), wake()
    awake(one)
    awake(other)

    draws = notes_of(one)["draws"], notes_of(other)["draws"]
    same = [name for name in draws[0] if draws[0][name] == draws[1][name]]
    # The fixed model has no TensorFlow; test_snapshot_models has.
    assert same == ["tensorflow"]
    # And they are clones: what nobody can reseed goes on from the same state in both.
    places = notes_of(one)["place"], notes_of(other)["place"]
    assert places[0]["kept"] == places[1]["kept"]
    assert (places[0]["pid"], places[1]["pid"]) == (1, 1)


def test_clones_answer_alike_and_as_a_cold_boot_does(wake, launch, environment, jpeg):
    urls = [awake(wake()), awake(wake())]
    with launch(command("serve", str(TWIN)), environment) as cold:
        urls.append(cold.said(LISTENING)[1])
        answers = [ask(url, body=jpeg) for url in urls]

    assert [status for status, _ in answers] == [200, 200, 200]
    assert len({probabilities(body) for _, body in answers}) == 1


def test_a_snapshot_wakes_again_and_again(wake, jpeg):
    for _ in range(3):
        launched = wake()
        status, _ = ask(awake(launched), body=jpeg)
        assert status == 200
        launched.process.terminate()
        assert launched.ends() == 0


def test_a_clone_counts_from_zero(wake):
    url = awake(wake())

    _, metrics = ask(url, "/metrics")

    counted = [line for line in metrics.decode().splitlines() if line.startswith("rookery_req")]
    assert counted == []


# --- what a clone is told ---------------------------------------------------------------------


def test_a_clone_has_the_environment_and_directory_of_its_launcher(
    launch, environment, snapshot, tmp_path
):
    arguments = command("serve", str(TWIN), "--snapshot", str(snapshot))
    told = {**environment, "TWIN_NOTES": str(tmp_path / "notes"), "ONLY_HERE": "ü=1"}
    shell = ("sh", "-c", f'cd "{tmp_path}" && exec "$@"', "sh", *arguments)
    with launch(shell, told) as launched:
        awake(launched)

        place = json.loads((tmp_path / "notes").read_text())["place"]
    assert place["directory"] == str(tmp_path)
    # func.yaml completes it, and the shell adds what is its own.
    shells = ("PWD", "OLDPWD", "_", "SHLVL", "LC_CTYPE", "S3_BUCKET_NAME")
    assert {n: v for n, v in place["environ"].items() if n not in shells} == {
        n: v for n, v in told.items() if n not in shells
    }


def test_a_clone_has_the_folder_for_temporary_files_of_its_launcher(wake, tmp_path):
    launched = wake(TMPDIR=str(tmp_path))
    awake(launched)

    assert Path(notes_of(launched)["draws"]["temporary"]).parent == tmp_path


def test_a_clone_listens_where_its_launcher_says(wake):
    url = awake(wake("--host", "127.0.0.2", "--port", "0"))

    assert url.startswith("http://127.0.0.2:")
    assert ask(url, "/health/readiness")[0] == 200


def test_a_clone_serves_the_pictures_it_is_told_of(wake, tmp_path):
    (tmp_path / "penguin.jpg").write_bytes(PHOTOGRAPH.read_bytes())
    url = awake(wake(ROOKERY_DATA_DIR=str(tmp_path), ROOKERY_DEFAULT_IMAGE="penguin"))

    status, body = ask(url, "/?imageName=penguin")

    assert status == 200, body


def test_a_clone_takes_only_the_token_it_is_told(wake, jpeg):
    url = awake(wake(ROOKERY_INGRESS_TOKEN="told-at-the-end"))

    assert ask(url, body=jpeg)[0] == 401
    assert ask(url, body=jpeg, headers={"Authorization": "Bearer told-at-the-end"})[0] == 200


def test_a_snapshot_works_where_it_was_moved(launch, environment, snapshot, tmp_path, jpeg):
    moved = tmp_path / "moved"
    moved.mkdir(mode=0o700)
    for file in snapshot.iterdir():
        (moved / file.name).hardlink_to(file)
    with launch(command("snapshot", "run", str(moved)), environment) as launched:
        assert ask(awake(launched), body=jpeg)[0] == 200


# --- what is only known after the restore -----------------------------------------------------


def announce(url, key, jpeg):
    etag = md5(jpeg).hexdigest()
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-11-21T10:00:00Z",
        "s3": {"bucket": {"name": "images"}, "object": {"key": key, "eTag": etag}},
    }
    headers = {
        "ce-specversion": "1.0",
        "ce-id": key,
        "ce-source": "/test",
        "ce-type": "com.amazonaws.s3.ObjectCreated:Put",
        "Content-Type": "application/json",
    }
    return ask(url, body=json.dumps({"Records": [record]}).encode(), headers=headers)


@pytest.fixture
def bucket(storage, jpeg):
    """What tells a function where its bucket is; it holds `a.jpg` and `b.jpg`, but for no keys."""
    import boto3

    client = boto3.client("s3", **storage.client)
    for key in ("a.jpg", "b.jpg"):
        client.put_object(Bucket="images", Key=key, Body=jpeg)
    client.close()
    return {"S3_ENABLED": "true", "S3_ENDPOINT_URL": storage.url}


def test_a_clone_uses_the_keys_it_is_told(wake, bucket, storage, jpeg):
    keys = {name: storage.env[name] for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY")}
    right = awake(wake(**bucket, **keys))
    wrong = awake(wake(**bucket, **{**keys, "S3_SECRET_KEY": "of-another"}))

    assert announce(right, "a.jpg", jpeg)[0] == 200
    status, refusal = announce(wrong, "a.jpg", jpeg)
    assert (status, json.loads(refusal)["error"]) == (503, "StorageDenied")


def test_clones_name_the_result_of_the_same_object_alike(wake, bucket, storage, sink, jpeg):
    env = {**bucket, **storage.env, "K_SINK": sink.url, "ROOKERY_SINK_TOKEN": "told-at-the-end"}
    for _ in range(2):
        url = awake(wake(**env))
        for key in ("a.jpg", "b.jpg"):
            status, body = announce(url, key, jpeg)
            assert status < 300, body

    results = [head for head in sink.heads if "ce-id" in head]
    assert [head["ce-subject"] for head in results] == ["a.jpg", "b.jpg"] * 2
    assert [head["authorization"] for head in results] == ["Bearer told-at-the-end"] * 4
    # An id names what a result is about, so that a repeat is known as one wherever it is made.
    first, second = [head["ce-id"] for head in results[:2]], [head["ce-id"] for head in results[2:]]
    assert first == second
    assert first[0] != first[1]


@pytest.fixture
def sink():
    """Somebody who takes every event."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.server.heads.append({n.lower(): v for n, v in self.headers.items()})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.heads = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


# --- its end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_launcher_that_is_stopped_lets_its_clone_finish(wake, jpeg, wait_until, number):
    launched = wake()
    address = urlsplit(awake(launched)).netloc
    clone = clone_of(launched.process.pid)
    in_flight = HTTPConnection(address, timeout=30)
    in_flight.putrequest("POST", "/")
    in_flight.putheader("Content-Length", str(len(jpeg)))
    in_flight.endheaders(jpeg[:100])
    assert ask(f"http://{address}", "/health/readiness")[0] == 200  # the other one has been read

    launched.process.send_signal(number)
    wait_until(lambda: refuses(address), "the listener to close")
    in_flight.send(jpeg[100:])

    assert in_flight.getresponse().status == 200
    in_flight.close()
    assert launched.ends() == 0
    assert not exists(clone)


def refuses(address):
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=30).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_launcher_ends_as_its_clone_does(wake):
    launched = wake()
    awake(launched)

    os.kill(clone_of(launched.process.pid), signal.SIGKILL)

    assert launched.ends() == 137


def test_a_clone_ends_with_its_launcher(wake, wait_until):
    launched = wake()
    awake(launched)
    clone = clone_of(launched.process.pid)

    launched.process.kill()

    wait_until(lambda: not exists(clone), "the end of the clone")


@pytest.fixture
def wake_slowly(launch, environment, snapshot, tmp_path):
    """Start a launcher with a CRIU that runs *lines*; return it, and its temporary folder."""
    was_there = Path(kernel.CACHE).exists()
    with ExitStack() as running:

        def start(*lines):
            slow = program(tmp_path / "criu", *lines)
            own = tmp_path / "own"
            own.mkdir()
            copy = for_criu(snapshot, tmp_path / "snapshot", slow)
            launched = running.enter_context(
                launch(
                    command("serve", str(TWIN), "--snapshot", str(copy)),
                    {**environment, "ROOKERY_CRIU": str(slow), "TMPDIR": str(own)},
                )
            )
            return launched, own

        yield start
    if not was_there:
        kernel.take_back()  # a launcher that is killed cannot


@pytest.fixture
def wake_held(wake_slowly, criu, tmp_path, wait_until):
    """A launcher whose CRIU has restored the clone, and ends when a file goes; and that file."""
    held = tmp_path / "restored"
    hold = program(
        tmp_path / "hold",
        '[ "$CRTOOLS_SCRIPT_ACTION" = post-restore ] || exit 0',
        f"touch '{held}'",
        f"while [ -e '{held}' ]; do sleep 0.02; done",
    )
    launched, own = wake_slowly(f'exec "{criu}" "$@" --action-script="{hold}"')
    wait_until(held.exists, "the restore")
    yield launched, own, held
    held.unlink(missing_ok=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_what_is_stopped_while_it_wakes_leaves_nothing(wake_held, wait_until, number):
    launched, own, held = wake_held
    started = children(launched.process.pid)
    assert len(started) == 2, "CRIU and the clone"

    launched.process.send_signal(number)

    assert launched.process.wait(30) == (-9 if number == signal.SIGKILL else 0)
    held.unlink()
    wait_until(lambda: not any(map(exists, started)), "the end of what was started")
    assert list(own.iterdir()) == []


def test_a_criu_that_is_killed_means_a_normal_boot(wake_held, jpeg):
    launched, own, held = wake_held
    criu, _ = children(launched.process.pid)

    os.kill(criu, signal.SIGKILL)
    held.unlink()

    url = launched.said(LISTENING)[1]
    assert ask(url, body=jpeg)[0] == 200
    assert re.search(BOOTING, launched.text, re.MULTILINE)
    assert children(launched.process.pid) == []
    assert list(own.iterdir()) == []
