import pytest

from rookery.errors import RequestInvalid
from rookery.reconcile.scope import Shard


@pytest.mark.parametrize(("text", "shard"), [("1/1", Shard()), ("2/8", Shard(2, 8))])
def test_a_shard_is_index_and_count(text, shard):
    assert Shard.parse(text) == shard
    assert str(shard) == text


@pytest.mark.parametrize("text", ["", "1", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1.0/2"])
def test_anything_else_is_no_shard(text):
    with pytest.raises(RequestInvalid, match="INDEX/COUNT"):
        Shard.parse(text)


def test_a_key_belongs_to_exactly_one_shard_and_always_the_same():
    assert [Shard(n, 4).takes("é/a.jpg") for n in (1, 2, 3, 4)].count(True) == 1
    assert Shard(3, 4).takes("a.jpg")  # crc32, not Python's salted hash
