"""`rookery serve` as a process: how it starts, how it fails to, and how it ends."""

import os
import re
import shutil
import signal
import socket
import sys
import time
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest

# One worker, because what these tests share takes seconds to start.
pytestmark = pytest.mark.xdist_group("serve")

FUNCTIONS = Path(__file__).parents[2] / "functions"
LISTENING = r"listening on http://(\S+):(\d+)"
_SECONDS = 30


def serve(*arguments):
    return (sys.executable, "-m", "rookery", "serve", f"--functions={FUNCTIONS}", *arguments)


@pytest.fixture
def connect():
    """Make a connection to a server, which is closed in the end, whoever has ended it before."""
    with ExitStack() as opened:

        def connect(server):
            host, port = server.said(LISTENING).groups()
            connection = HTTPConnection(host, int(port), timeout=_SECONDS)
            opened.callback(connection.close)
            return connection

        yield connect


def ask(connection, method="GET", path="/", body=None, **headers):
    connection.request(method, path, body, {n.replace("_", "-"): v for n, v in headers.items()})
    response = connection.getresponse()
    return response.status, response.read(), response


# --- how it fails to start -----------------------------------------------------------------


@pytest.fixture(scope="module")
def failures(launch, environ):
    """What each wrong start said and ended with; all at once, because each takes a second."""
    with socket.create_server(("127.0.0.1", 0)) as taken, ExitStack() as running:
        starts = {
            "missing model": (serve("classify"), {"ROOKERY_MODEL": "dodo"}),
            "wrong settings": (
                serve("classify"),
                {"ROOKERY_TOP_K": "none", "ROOKERY_BACKEND": "x", "S3_SECRET_KEY": "open-sesame"},
            ),
            "unknown function": (serve("sing"), {}),
            "port taken": (serve("classify", f"--port={taken.getsockname()[1]}"), {}),
        }
        servers = {
            name: running.enter_context(launch(command, {**environ, **env}))
            for name, (command, env) in starts.items()
        }
        return {name: (server.ends(), server.text) for name, server in servers.items()}


FAILURES = {
    "missing model": r"there is no model dodo in .*, get it with: rookery models pull dodo",
    "wrong settings": r"setting\(s\) cannot be used:\n(  - .*\n)+",
    "unknown function": r"there is no function 'sing': .*; functions in .*: .*classify",
    "port taken": r"cannot listen on 127\.0\.0\.1:\d+: Address already in use",
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_prevents_the_start_is_one_message_and_a_status(failures, name):
    status, said = failures[name]
    assert status == 78, said
    assert len(re.findall(r"^rookery: ", said, re.MULTILINE)) == 1, said
    assert re.search(r"^rookery: .*" + FAILURES[name], said, re.MULTILINE), said
    assert "Traceback" not in said


def test_all_wrong_settings_are_named_and_no_secret(failures):
    _, said = failures["wrong settings"]
    assert "ROOKERY_TOP_K" in said
    assert "ROOKERY_BACKEND" in said
    assert "sesame" not in said


# --- while it is loading -------------------------------------------------------------------


@pytest.fixture
def loading(launch, environ, tmp_path):
    """A function whose model never comes: its card is a pipe that nobody writes to."""
    home = tmp_path / "home"
    shutil.copytree(environ["ROOKERY_HOME"], home)
    card = home / "models" / "penguins" / "1" / "model.json"
    card.unlink()
    os.mkfifo(card)
    env = {**environ, "ROOKERY_HOME": str(home), "ROOKERY_STARTUP_SECONDS": "0.05"}
    with launch(serve("classify"), env) as server:
        yield server


def test_a_function_that_is_loading_is_live_and_says_so_and_can_be_ended(loading, connect):
    connection = connect(loading)
    live, _, _ = ask(connection, path="/health/liveness")
    ready, state, _ = ask(connection, path="/health/readiness")
    status, body, response = ask(connection)
    loading.process.send_signal(signal.SIGTERM)
    assert (live, ready, b'"loading"' in state) == (200, 503, True)
    assert (status, response.headers["Retry-After"]) == (503, "2")
    assert b"still loading" in body
    assert loading.ends() == 0
    assert "Traceback" not in loading.text


# --- serving and draining ------------------------------------------------------------------


@pytest.fixture
def serving(launch, environ, connect):
    """A function that is ready; a request can be left in the middle."""
    with launch(serve("classify"), environ) as server:
        wait_for_readiness(server, connect(server))
        yield server


def wait_for_readiness(server, connection):
    deadline = time.monotonic() + _SECONDS
    while ask(connection, path="/health/readiness")[0] != 200:
        assert time.monotonic() < deadline, server.text


def accepts(server):
    host, port = server.said(LISTENING).groups()
    try:
        socket.create_connection((host, int(port)), timeout=_SECONDS).close()
    except ConnectionRefusedError:
        return False
    return True


def half_sent(connection, body):
    """Begin to POST *body*; return what sends the rest and reads the answer."""
    connection.putrequest("POST", "/")
    connection.putheader("Content-Type", "image/jpeg")
    connection.putheader("Content-Length", str(len(body)))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    assert connection.sock.recv(1000).startswith(b"HTTP/1.1 100")  # it has been seen

    def finish():
        connection.send(body)
        response = connection.getresponse()
        return response.status, response.headers["Connection"], response.read()

    return finish


def test_sigterm_drains_and_a_second_one_changes_nothing(serving, connect, jpeg, wait_until):
    finish = half_sent(connect(serving), jpeg)
    kept = connect(serving)
    assert ask(kept, path="/health/readiness")[0] == 200
    serving.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not accepts(serving), "the listener to close")
    draining, state, _ = ask(kept, path="/health/readiness")
    serving.process.send_signal(signal.SIGTERM)
    status, then, answer = finish()
    assert (draining, b'"draining"' in state) == (503, True)
    assert (status, then) == (200, "close")
    assert b"king penguin" in answer
    assert serving.ends() == 0
    assert "Traceback" not in serving.text


def test_ctrl_c_ends_it_as_quietly(serving):
    serving.process.send_signal(signal.SIGINT)
    assert serving.ends() == 0
    assert "Traceback" not in serving.text


# --- where its settings come from ----------------------------------------------------------


def test_options_win_over_the_environment_and_that_over_func_yaml(launch, environ, connect, jpeg):
    # func.yaml says efficientnet-lite0 and S3_ENABLED, and needs nothing else from us.
    wrong = {**environ, "ROOKERY_MODEL": "dodo", "ROOKERY_HOST": "no.such.host.invalid"}
    options = ("--host=127.0.0.1", "--port=0", "--model=penguins/1", "--backend=fixed")
    with launch(serve("classify", *options), wrong) as server:
        connection = connect(server)
        status, answer, _ = ask(connection, "POST", body=jpeg, Content_Type="image/jpeg")
        event, refused, _ = ask(
            connection, "POST", body=b'{"Event":"s3:TestEvent"}', Content_Type="application/json"
        )
        assert (status, b"penguins" in answer) == (200, True)
    assert (event, refused) == (202, b"")
