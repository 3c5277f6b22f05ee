"""`rookery reconcile` as a process, against the embedded S3 and a sink of its own."""

import itertools
import json
import re
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from rookery.events.object_created import from_event
from rookery.events.wire import from_http

# One worker, because what these tests share takes seconds to start.
pytestmark = pytest.mark.xdist_group("reconcile")

_numbers = itertools.count()


class Sink:
    """Takes as many events as `takes` says; then it answers 503, and `told` is set."""

    def __init__(self):
        self.events = []
        self.status = 202
        self.takes = None
        self.told = threading.Event()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = sink.answer(from_http(dict(self.headers.items()), body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, events):
        if self.takes is not None and len(self.events) >= self.takes:
            self.told.set()
            return 503
        self.events.extend(events)
        return self.status

    @property
    def keys(self):
        return sorted(obj.key for event in self.events for obj in from_event(event))

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def sink():
    sink = Sink()
    yield sink
    sink.close()


class Bucket:
    def __init__(self, client, name):
        self.client, self.name = client, name

    def put(self, *keys, data=b"image"):
        for key in keys:
            self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def finish(self, *keys, suffix=".json"):
        for key in keys:
            etag = self.client.head_object(Bucket=self.name, Key=key)["ETag"].strip('"')
            name = f"results/{self.name}/{key}/{etag}{suffix}"
            self.client.put_object(Bucket=self.name, Key=name, Body=b"{}")


@pytest.fixture
def bucket(storage):
    client = boto3.client("s3", **storage.client)
    name = f"reconciled-{next(_numbers)}"
    client.create_bucket(Bucket=name)
    yield Bucket(client, name)
    client.close()


@pytest.fixture
def variables(environ, storage, bucket, sink):
    """An environment in which results are kept in the bucket of the images."""
    return {
        **environ,
        "S3_ENDPOINT_URL": storage.url,
        "S3_ACCESS_KEY": storage.env["S3_ACCESS_KEY"],
        "S3_SECRET_KEY": storage.env["S3_SECRET_KEY"],
        "S3_BUCKET_NAME": bucket.name,
        "ROOKERY_RESULTS_BUCKET": bucket.name,
        "K_SINK": sink.url,
    }


@pytest.fixture
def reconcile(launch, variables):
    """Run it to its end; return status and everything said."""

    def run(*arguments, **changes):
        env = {name: value for name, value in {**variables, **changes}.items() if value}
        command = (sys.executable, "-m", "rookery", "reconcile", *arguments)
        with launch(command, env) as process:
            return process.ends(), process.text

    return run


def summary(said):
    return json.loads(said.strip().splitlines()[-1])


def test_what_has_no_result_is_announced_and_counted(reconcile, bucket, sink):
    bucket.put("done.jpg", "failed.jpg", "a b/é+%.jpg", "new.jpg")
    bucket.finish("done.jpg")
    bucket.finish("failed.jpg", suffix=".failed.json")
    status, said = reconcile("--older-than=0s", "--json")

    assert status == 0, said
    assert sink.keys == ["a b/é+%.jpg", "new.jpg"]
    counted = summary(said)
    assert (counted["bucket"], counted["listed"], counted["skipped"]) == (bucket.name, 6, 2)
    assert (counted["done"], counted["failed"], counted["missing"]) == (1, 1, 2)
    assert (counted["emitted"], counted["refused"]) == (2, 0)


def test_a_dry_run_sends_nothing_and_prints_the_keys(reconcile, bucket, sink):
    bucket.put("a.jpg", "b.jpg")
    bucket.finish("a.jpg")
    status, said = reconcile("--older-than=0s", "--dry-run", K_SINK="")

    assert (status, said.split()) == (0, ["b.jpg"])
    assert sink.events == []


def test_failures_are_announced_on_demand(reconcile, bucket, sink):
    bucket.put("a.jpg", "b.jpg")
    bucket.finish("a.jpg", suffix=".failed.json")
    bucket.finish("b.jpg")
    reconcile("--older-than=0s", "--failed")

    assert sink.keys == ["a.jpg"]


def test_everything_is_announced_on_demand_anew_and_without_a_results_store(
    reconcile, bucket, sink
):
    bucket.put("a.jpg", "b.jpg")
    for _ in range(2):
        status, said = reconcile("--older-than=0s", "--all", ROOKERY_RESULTS_BUCKET="")
        assert status == 0, said
        assert "absorbs" not in said

    assert sink.keys == ["a.jpg", "a.jpg", "b.jpg", "b.jpg"]
    assert len({event.id for event in sink.events}) == 4


def test_what_is_missing_is_announced_under_the_same_ids_and_that_is_said(reconcile, bucket, sink):
    bucket.put("a.jpg")
    said = [reconcile("--older-than=0s")[1] for _ in range(2)]

    assert len(sink.events) == 2
    assert len({event.id for event in sink.events}) == 1
    assert all("a broker absorbs events that it has had" in each for each in said)


def test_a_place_for_checkpoints_that_cannot_be_used_is_told_before_anything_is_sent(
    reconcile, bucket, sink, tmp_path
):
    bucket.put("a.jpg")
    status, said = reconcile("--older-than=0s", f"--state={tmp_path}/nowhere/state.json")

    assert status == 65
    assert "--state" in said
    assert sink.events == []


def test_what_is_young_is_left_alone(reconcile, bucket, sink):
    bucket.put("a.jpg")
    status, said = reconcile()

    assert status == 0
    assert f"{bucket.name}: listed 1, skipped 1" in said
    assert sink.events == []


SECOND_PAGE = [f"z{n}" for n in range(5)]


@pytest.fixture(scope="module")
def two_pages(storage):
    """A bucket whose first page holds results, which are nobody's images, and its second five."""
    with closing(boto3.client("s3", **storage.client)) as client:
        bucket = Bucket(client, "two-pages")
        client.create_bucket(Bucket=bucket.name)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(bucket.put, (f"results/{n:04}" for n in range(1000))))
        bucket.put(*SECOND_PAGE)
    return {"S3_BUCKET_NAME": bucket.name, "ROOKERY_RESULTS_BUCKET": bucket.name}


@pytest.mark.parametrize("mode", [(), ("--all",)], ids=["missing", "all"])
def test_an_outage_of_the_sink_ends_it_and_the_checkpoint_goes_on(
    reconcile, two_pages, sink, tmp_path, mode
):
    state = tmp_path / "state.json"
    run = (
        "--older-than=0s", f"--state={state}", "--patience=0s", "--concurrency=1", "--json",
        *mode,
    )  # fmt: skip
    sink.takes = 2
    status, said = reconcile(*run, **two_pages)
    assert status == 69, said
    assert "503" in said
    assert json.loads(state.read_text())["after"] == "results/0999"

    sink.takes = None
    status, said = reconcile(*run, **two_pages)
    assert status == 0, said
    # What was sent of a page that was not finished is sent again, under the same ids.
    assert sink.keys == sorted([*SECOND_PAGE, "z0", "z1"])
    assert len({event.id for event in sink.events}) == 5
    assert (summary(said)["listed"], summary(said)["skipped"]) == (1005, 1000)
    assert json.loads(state.read_text())["finished"] is True


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_and_keeps_the_checkpoint(  # noqa: PLR0913, PLR0917
    launch, variables, two_pages, sink, tmp_path, stop
):
    state = tmp_path / "state.json"
    sink.takes = 2
    command = (sys.executable, "-m", "rookery", "reconcile", "--older-than=0s", f"--state={state}")
    # These tests may run where a shell has put them into the background, which ignores SIGINT.
    heeding = ("env", "--default-signal=INT")
    with launch((*heeding, *command, "--patience=1h"), {**variables, **two_pages}) as process:
        assert sink.told.wait(30)  # the sink is away, and it waits patiently
        process.process.send_signal(stop)
        assert process.ends() == 130, process.text
        assert f"--state {state} to go on" in process.text
        assert "Traceback" not in process.text

    document = json.loads(state.read_text())
    assert (document["after"], document["finished"]) == ("results/0999", False)


def test_a_refused_event_is_in_the_status(reconcile, bucket, sink):
    bucket.put("a.jpg")
    sink.status = 422
    status, said = reconcile("--older-than=0s")

    assert status == 1
    assert "422" in said
    assert "refused 1" in said


# --- what is wrong is one message and a status ----------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "changes", "status", "message"),
    [
        ((), {"K_SINK": ""}, 78, r"give --sink URL"),
        ((), {"ROOKERY_RESULTS_BUCKET": ""}, 78, r"ROOKERY_RESULTS_BUCKET is not set.*--all"),
        ((), {"S3_BUCKET_NAME": "a,b"}, 78, r"--bucket"),
        (("--shard=5/4",), {}, 65, r"INDEX/COUNT"),
        (("--older-than=soon",), {}, 65, r"span of time"),
        (("--since=yesterday",), {}, 65, r"2h"),
        (("--dry-run", "--state=s"), {}, 2, r"--dry-run does nothing"),
        (("--bucket=no-such-bucket",), {}, 65, r"no-such-bucket"),
        (("--older-than=0s",), {"ROOKERY_RESULTS_BUCKET": "nowhere"}, 65, r"nowhere"),
        (("--patience=0s",), {"S3_ENDPOINT_URL": "down"}, 69, r"127\.0\.0\.1"),
        (("--patience=0s",), {"S3_SECRET_KEY": "wrong"}, 69, r"refuses our request"),
    ],
)
def test_what_is_wrong_is_said(  # noqa: PLR0913, PLR0917
    reconcile, bucket, unused_url, arguments, changes, status, message
):
    bucket.put("a.jpg")
    if changes.get("S3_ENDPOINT_URL"):
        changes = {"S3_ENDPOINT_URL": unused_url}
    ended, said = reconcile(*arguments, **changes)

    assert ended == status, said
    assert "Traceback" not in said
    assert re.search(message, said), said
