"""The README's commands, exactly as it writes them, against both ways to run the function."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from rookery.free_ports import free_ports
from whole_system import PHOTOGRAPH, ROOT, home_with, wait_until

BIN = Path(sys.executable).parent


def commands(section: str) -> list[str]:
    """The shell commands of a section of the README, continuation lines joined."""
    text = (ROOT / "README.md").read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    parts = re.split(r"^\$ ", "\n".join(blocks), flags=re.MULTILINE)
    return [part.strip() for part in parts if part.strip()]


def starting_with(word: str) -> list[str]:
    return [command for command in commands("One function") if command.startswith(word)]


@pytest.fixture(scope="module")
def storage_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    (serve,) = starting_with("rookery storage")
    command = serve.replace("--port 9000", "--port 0").rstrip(" &")
    with _running(command, {}, tmp_path_factory.mktemp("storage") / "log") as port:
        yield port


@pytest.fixture(scope="module", params=["rookery serve", "functions-framework"])
def function_port(
    request: pytest.FixtureRequest,
    storage_port: int,
    models: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("function")
    (command,) = starting_with(request.param)
    exports = [word for line in starting_with("export") for word in line.split()[1:]]
    env = dict(word.split("=", 1) for word in exports)
    env["S3_ENDPOINT_URL"] = env["S3_ENDPOINT_URL"].replace("9000", str(storage_port))
    env["ROOKERY_HOME"] = str(home_with(models, folder))
    (port,) = free_ports(1)
    with _running(command, {**env, "PORT": str(port)}, folder / "log", port):
        yield port


def test_every_curl_command_is_answered_with_the_photographs_class(
    function_port: int, storage_port: int, tmp_path: Path
) -> None:
    shutil.copy(PHOTOGRAPH, tmp_path / "photo.jpg")
    uploads, asks = [], []
    for command in starting_with("curl"):
        (uploads if "--upload-file" in command else asks).append(command)
    assert (len(uploads), len(asks)) == (1, 3)

    for command in uploads + asks:
        here = command.replace(":8080", f":{function_port}").replace(":9000", f":{storage_port}")
        done = subprocess.run(
            ("bash", "-c", here.replace("curl ", "curl -sS --fail-with-body ", 1)),
            cwd=tmp_path, check=False, capture_output=True, text=True, timeout=90,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        if command in asks:
            assert json.loads(done.stdout)["top_prediction"] == [["military uniform"]]


@contextmanager
def _running(command: str, env: dict[str, str], log: Path, port: int = 0) -> Iterator[int]:
    with log.open("w") as output:
        process = subprocess.Popen(
            ("bash", "-c", f"exec {command}"),
            cwd=ROOT,
            env={**os.environ, **env, "PATH": f"{BIN}:{os.environ['PATH']}"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        if port:
            url = f"http://127.0.0.1:{port}/health/liveness"
            wait_until(lambda: _answers(url), 60, f"{command} on {port}")
        else:
            wait_until(lambda: "listening on" in log.read_text(), 60, command)
            port = int(re.search(r"listening on \S+:(\d+)", log.read_text())[1])
        yield port
    finally:
        process.terminate()
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, retries=False, timeout=2).status == 200
    except urllib3.exceptions.HTTPError:
        return False
