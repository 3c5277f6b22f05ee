"""Snapshots with real models: clones compute what a cold boot computes, and draw their own."""

import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from snapshot_processes import (
    LISTENING,
    TWIN,
    ask,
    awake,
    command,
    created,
    probabilities,
)

PHOTOGRAPH = Path(__file__).parents[2] / "functions" / "classify" / "data" / "test1.jpg"


@pytest.fixture(scope="module")
def environment(environ, criu, models):
    return {
        **environ,
        "ROOKERY_CRIU": criu,
        "ROOKERY_HOME": str(models.parent),
        "ROOKERY_MODEL": "efficientnet-lite0",
        "ROOKERY_TOP_K": "1000",  # all there are
    }


@pytest.mark.parametrize("backend", ["openvino", "tensorflow"])
def test_clones_compute_what_a_cold_boot_computes(launch, environment, tmp_path, backend):
    here = {**environment, "ROOKERY_BACKEND": backend}
    snapshot = created(TWIN, tmp_path / "snapshot", here)
    image = PHOTOGRAPH.read_bytes()
    with ExitStack() as running:
        cold = running.enter_context(launch(command("serve", str(TWIN)), here))
        urls = [cold.said(LISTENING)[1]]  # one by one: each imports a great deal
        clones = [
            running.enter_context(
                launch(
                    command("serve", str(TWIN), "--snapshot", str(snapshot)),
                    {**here, "TWIN_NOTES": str(tmp_path / name)},
                )
            )
            for name in ("one", "other")
        ]
        urls += map(awake, clones)
        answers = [ask(url, body=image) for url in urls]
        again = ask(urls[1], body=image)

    assert [status for status, _ in answers] == [200, 200, 200]
    assert json.loads(answers[0][1])["top_prediction"] == [["military uniform"]]
    assert json.loads(answers[0][1])["model"]["backend"] == backend
    assert len({probabilities(body) for _, body in [*answers, again]}) == 1

    draws = [json.loads((tmp_path / name).read_text())["draws"] for name in ("one", "other")]
    same = [name for name in draws[0] if draws[0][name] == draws[1][name]]
    assert same == ([] if backend == "tensorflow" else ["tensorflow"])


def test_a_clone_knows_its_model_when_the_file_has_changed(launch, environment, models, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(models, home / "models")
    here = {
        **environment,
        "ROOKERY_HOME": str(home),
        "ROOKERY_BACKEND": "openvino",  # the one that would map it
        "ROOKERY_MODEL_CACHE": "off",  # the model itself is loaded, not what was compiled of it
    }
    snapshot = created(TWIN, tmp_path / "snapshot", here)
    image = PHOTOGRAPH.read_bytes()

    def answer():
        arguments = command("serve", str(TWIN), "--snapshot", str(snapshot))
        with launch(arguments, here) as launched:
            status, body = ask(awake(launched), body=image)
        assert status == 200, body
        return probabilities(body)

    right = answer()
    weights = [file for file in home.rglob("*") if file.is_file() and file.stat().st_size > _BIG]
    assert weights
    for file in weights:
        negate(file)

    assert answer() == right


_BIG = 1 << 20


def negate(file):
    """Change every byte of *file* in place: numbers get other signs, its size and times stay."""
    before = file.stat()
    data = bytes(byte ^ 0x80 for byte in file.read_bytes())
    with file.open("r+b") as opened:
        opened.write(data)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
