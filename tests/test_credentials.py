import logging
import os
import ssl

import pytest
import trustme
from pydantic import SecretStr

from rookery.credentials import Outgoing, SecretFile, believing, secret, tokens
from rookery.errors import SettingsInvalid


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


def age(path):
    """Make *path* look as if it had been written long ago."""
    os.utime(path, (1_000_000_000, 1_000_000_000))


def test_a_secret_is_what_its_file_holds(file):
    assert secret(file, setting="S3_SECRET_KEY_FILE")() == "first"


def test_a_change_is_seen_without_a_restart(file):
    read = secret(file, setting="X")
    file.write_text("second")
    assert read() == "second"


def test_two_changes_in_one_tick_of_the_clock_are_both_seen(file):
    read = secret(file, setting="X")
    for text in ("other", "third", "forth"):
        stamp = file.stat()
        file.write_text(text)
        os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        assert read() == text


def test_a_link_that_points_elsewhere_is_a_change(tmp_path):
    # How Kubernetes updates a mounted Secret.
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(name)
        age(tmp_path / name / "token")
    (tmp_path / "data").symlink_to("one")
    read = secret(tmp_path / "data" / "token", setting="X")
    assert read() == "one"
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").replace(tmp_path / "data")
    assert read() == "two"


def test_a_file_that_does_not_change_is_not_read_again(file):
    age(file)
    parsed = []
    read = SecretFile(file, lambda text: parsed.append(text) or text, setting="X")
    assert [read(), read(), read()] == ["first"] * 3
    assert parsed == ["first"]


@pytest.mark.parametrize("spoil", ["", "two\nlines", "\udcff", None])
def test_what_cannot_be_used_does_not_replace_what_could(file, caplog, spoil):
    read = secret(file, setting="S3_SECRET_KEY_FILE")
    if spoil is None:
        file.unlink()
    else:
        file.write_bytes(spoil.encode(errors="surrogateescape"))
    with caplog.at_level(logging.WARNING):
        assert [read(), read()] == ["first", "first"]
    (record,) = caplog.records  # said once
    assert "S3_SECRET_KEY_FILE" in record.getMessage()
    file.write_text("second")
    assert read() == "second"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "one line of text"),
        (b"a\nb", "one line of text"),
        (b"se\0same", "one line of text"),
        (b"sesame\xff", "not UTF-8"),
        (b"sesame" * 20_000, "longer than 65,536 bytes"),
        (None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name_and_not_shown(tmp_path, content, why):
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        SettingsInvalid, match=rf"(?s)S3_ACCESS_KEY_FILE: .*key cannot .*{why}"
    ) as e:
        secret(path, setting="S3_ACCESS_KEY_FILE")
    assert "sesame" not in str(e.value)


def test_several_tokens_are_one_a_line(file):
    file.write_text(" new \n\nold\n")
    assert tokens(None, file, setting="X")() == ("new", "old")
    assert tokens(SecretStr("new\nold"), None, setting="X")() == ("new", "old")


def test_without_tokens_there_is_nothing_to_check():
    assert tokens(None, None, setting="X") is None


@pytest.mark.parametrize("text", ["", "\n", "open sesame", "sesame\x7f", "sésame", "=", "se=same"])
def test_what_is_no_bearer_token_is_refused_and_not_shown(tmp_path, text):
    (tmp_path / "token").write_text(text)
    for given in ((SecretStr(text), None), (None, tmp_path / "token")):
        with pytest.raises(SettingsInvalid, match="ROOKERY_SINK_TOKEN") as raised:
            tokens(*given, setting="ROOKERY_SINK_TOKEN")
        assert "same" not in str(raised.value).replace("token cannot", "")


def test_a_token_and_its_file_are_too_much(file):
    with pytest.raises(SettingsInvalid, match="set one of them"):
        tokens(SecretStr("a"), file, setting="X")


def test_the_first_token_is_sent(file):
    file.write_text("new\nold")
    sent = Outgoing(tokens(None, file, setting="X"))
    assert sent.headers() == {"Authorization": "Bearer new"}
    file.write_text("newer\nnew")
    assert sent.headers() == {"Authorization": "Bearer newer"}


def test_without_a_token_nothing_is_sent():
    assert Outgoing().headers() == {}


def test_what_a_server_repeats_of_our_request_is_hidden():
    sent = Outgoing(lambda: ("open-sesame", "older-sesame"))
    said = b"POST /in?v=1&amp;key=query-sesame HTTP/1.1 Authorization: Bearer open-sesame"
    assert sent.hide(said, "http://host/in?v=1&key=query-sesame") == (
        b"POST /in?v=1&amp;key=*** HTTP/1.1 Authorization: Bearer ***"
    )


def test_without_secrets_nothing_is_hidden():
    assert Outgoing().hide(b"anything", "http://host/in") == b"anything"


def test_certificates_are_believed_beside_the_systems():
    own = trustme.CA().cert_pem.bytes().decode()
    context = believing(own)
    assert len(context.get_ca_certs()) == len(ssl.create_default_context().get_ca_certs()) + 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize("text", ["certificate", "-----BEGIN CERTIFICATE-----\nx\n"])
def test_what_is_no_certificate_is_refused_by_name(text):
    with pytest.raises(SettingsInvalid, match="K_CA_CERTS"):
        believing(text)
