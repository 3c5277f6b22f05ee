"""What the event tests share: the contract's files, and strategies for legal values."""

from pathlib import Path

import pytest

CONTRACT = Path(__file__).parents[2] / "events"


@pytest.fixture(scope="session")
def contract():
    return CONTRACT
