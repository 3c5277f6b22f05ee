import pytest

from rookery.snapshots.leaks import leaked

PAGE = 4096


@pytest.mark.parametrize("at", [0, 5, PAGE - 4, 2 * PAGE - 1, 3 * PAGE - 11], ids=str)
def test_a_secret_is_found_wherever_it_lies(tmp_path, at):
    content = bytearray(3 * PAGE)
    content[at : at + 11] = b"open-sesame"
    (tmp_path / "memory").write_bytes(content)
    assert leaked(tmp_path, {"S3_SECRET_KEY": "open-sesame"}) == ("S3_SECRET_KEY",)


def test_every_file_is_looked_into(tmp_path):
    for name in ("memory", "pages-1.img", "stats-dump"):
        (tmp_path / name).write_bytes(b"the value of " + name.encode())
    found = leaked(
        tmp_path, {"C": "of stats-dump", "B": "of pages-1", "A": "of memory", "D": "no such value"}
    )
    assert found == ("A", "B", "C")


def test_values_that_are_in_every_process_are_not_looked_for(tmp_path):
    (tmp_path / "memory").write_bytes(b"12345 123456")
    assert leaked(tmp_path, {"SHORT": "12345", "EMPTY": "", "LONG": "123456"}) == ("LONG",)


def test_what_is_empty_or_no_file_holds_nothing(tmp_path):
    (tmp_path / "memory").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("open-sesame")
    assert leaked(tmp_path, {"S3_SECRET_KEY": "open-sesame"}) == ()


def test_a_value_need_not_be_text(tmp_path):
    (tmp_path / "memory").write_bytes(b"__\xff\xfehush!\xc3\xa4__")
    assert leaked(tmp_path, {"S3_SECRET_KEY": "\udcff\udcfehush!ä"}) == ("S3_SECRET_KEY",)


def test_without_secrets_nothing_is_found(tmp_path):
    (tmp_path / "memory").write_bytes(b"anything")
    assert leaked(tmp_path, {}) == ()
