import pytest

from rookery.snapshots.leaks import in_aws_files, leaked

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


CONFIG = """
[default]
region = eu-central-1
[profile work]
AWS_SESSION_TOKEN: a/token==
"""
CREDENTIALS = """[default]
aws_access_key_id = AKIDEXAMPLE
  aws_secret_access_key=wJalr+XUtn
# aws_secret_access_key = of-nobody
[work]
aws_secret_access_key = another
"""


@pytest.mark.parametrize("named", [False, True])
def test_the_secrets_of_every_profile_in_aws_files_are_known(tmp_path, named):
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "config").write_text(CONFIG)
    (folder / "credentials").write_text(CREDENTIALS)
    elsewhere = {
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "HOME": "/nowhere",
    }
    assert in_aws_files(elsewhere if named else {"HOME": str(tmp_path)}) == {
        f"AWS_SESSION_TOKEN in line 5 of {folder}/config": "a/token==",
        f"aws_secret_access_key in line 3 of {folder}/credentials": "wJalr+XUtn",
        f"aws_secret_access_key in line 6 of {folder}/credentials": "another",
    }


def test_aws_files_that_cannot_be_read_hold_no_secrets(tmp_path):
    (tmp_path / ".aws" / "config").mkdir(parents=True)
    (tmp_path / ".aws" / "credentials").write_bytes(b"\xff\0 = [")
    assert in_aws_files({"HOME": str(tmp_path)}) == {}
