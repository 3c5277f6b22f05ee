"""Fixtures over whole systems; what they are made of is in whole_system.py."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from whole_system import System, home_with, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.end_to_end)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with the default model, as the user's own command makes it."""
    home = tmp_path_factory.mktemp("home")
    subprocess.run(
        (sys.executable, "-m", "rookery", "models", "pull", "efficientnet-lite0"),
        env={**os.environ, "ROOKERY_HOME": str(home)},
        check=True,
        timeout=150,
    )
    return home / "models"


@pytest.fixture(scope="module")
def system(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The whole system with the real model on TensorFlow, shared by a module."""
    folder = tmp_path_factory.mktemp("up")
    with (folder / "up.log").open("w+") as log, running(home_with(models, folder), log=log) as up:
        yield up


@pytest.fixture
def quick_system(models: Path, tmp_path: Path) -> Iterator[System]:
    """The whole system with a model that computes nothing, for one test."""
    with (
        (tmp_path / "up.log").open("w+") as log,
        running(home_with(models, tmp_path), log=log, ROOKERY_BACKEND="fixed") as up,
    ):
        yield up
