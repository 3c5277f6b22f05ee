"""What the tests of this folder share."""

import pytest

from rookery.events.wire import CloudEvent


@pytest.fixture(scope="session")
def made():
    """Make a result: made(id, data=...)."""

    def make(id_="1", **fields):
        return CloudEvent(**{"id": id_, "source": "/s", "type": "t", **fields})

    return make
