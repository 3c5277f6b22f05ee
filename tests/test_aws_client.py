import pytest
from botocore.utils import parse_timestamp

from rookery.aws_client import _moment


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T14:49:31.401Z",
        "2026-11-21T14:49:31Z",
        "2026-11-21T14:49:31",
        "2026-11-21T14:49:31+02:00",
        "Sat, 21 Nov 2026 14:49:31 GMT",
        "1795272571",
        "1795272571.5",
        1795272571,
    ],
)
def test_a_time_is_read_as_botocore_reads_it(text):
    assert _moment(text) == parse_timestamp(text)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01T00:00:00Z"])
def test_what_is_no_time_is_refused_as_botocore_refuses_it(text):
    with pytest.raises(ValueError, match="Invalid timestamp"):
        _moment(text)
