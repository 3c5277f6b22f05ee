import io

import pytest

from rookery.serving.unread import discard


@pytest.mark.parametrize("length", [0, 1, 65_536, 1_000_000])
def test_a_body_is_read_to_its_end(length):
    body = io.BytesIO(b"x" * length)
    discard(body)
    assert body.tell() == length


def test_a_body_without_an_end_is_given_up():
    class Endless:
        given = 0

        def read(self, size):
            self.given += size
            return b"x" * size

    body = Endless()
    discard(body, max_bytes=1_000_000)
    assert body.given == 1_000_000


def test_a_client_that_has_gone_is_no_error():
    class Gone:
        asked = 0

        def read(self, _):
            self.asked += 1
            raise ConnectionResetError

    body = Gone()
    discard(body)
    assert body.asked == 1
