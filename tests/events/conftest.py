"""What the event tests share."""

from pathlib import Path

import pytest
from hypothesis import settings

# How long one example takes says how busy the machine is, and nothing about the code.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

CONTRACT = Path(__file__).parents[2] / "events"


@pytest.fixture(scope="session")
def contract():
    return CONTRACT
