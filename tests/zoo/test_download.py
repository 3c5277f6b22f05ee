import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from rookery.errors import DownloadUnavailable, ModelInvalid
from rookery.zoo.download import Checksum, RemoteFile, fetch

CONTENT = bytes(range(256)) * 400
CUT = 30_000


def remote(url, **changes):
    checksum = Checksum("sha256", hashlib.sha256(CONTENT).hexdigest())
    return replace(RemoteFile(f"{url}/weights.h5?x=1", checksum, max_bytes=1_000_000), **changes)


def reply(status, body, *, of=None, **headers):
    """A response whose Content-Length announces *of* bytes and that sends *body*."""
    lines = [f"HTTP/1.1 {status} Reason", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body) if of is None else of}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


WHOLE = reply(200, CONTENT)
FIRST_PART = reply(200, CONTENT[:CUT], of=len(CONTENT))
REST = reply(206, CONTENT[CUT:], Content_Range=f"bytes {CUT}-{len(CONTENT) - 1}/{len(CONTENT)}")


def ranges(server):
    """The Range header of each request, or None."""
    found = []
    for request in server.requests:
        lines = request.decode().lower().split("\r\n")
        found.append(next((line[7:] for line in lines if line.startswith("range: ")), None))
    return found


def test_a_file_arrives_whole_under_its_own_name(scripted_server, tmp_path):
    server = scripted_server(WHOLE)
    path = fetch(remote(server.url), tmp_path / "downloads")
    assert path == tmp_path / "downloads" / "weights.h5"
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_progress_grows_to_the_announced_length(scripted_server, tmp_path):
    shown = []
    fetch(
        remote(scripted_server(WHOLE).url),
        tmp_path,
        lambda done, total: shown.append((done, total)),
    )
    assert shown == sorted(shown)
    assert shown[-1] == (len(CONTENT), len(CONTENT))


def test_a_file_that_is_there_is_not_downloaded_again(scripted_server, tmp_path):
    server = scripted_server(WHOLE)
    fetch(remote(server.url), tmp_path)
    fetch(remote(server.url), tmp_path)
    assert len(server.requests) == 1


def test_a_cut_connection_is_resumed_where_it_was_cut(scripted_server, tmp_path):
    server = scripted_server(FIRST_PART, REST)
    assert fetch(remote(server.url), tmp_path).read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={CUT}-"]


def test_a_later_call_continues_what_an_earlier_one_left(scripted_server, unused_url, tmp_path):
    (tmp_path / "weights.h5.part").write_bytes(CONTENT[:CUT])
    with pytest.raises(DownloadUnavailable):
        fetch(remote(unused_url), tmp_path)
    server = scripted_server(REST)
    assert fetch(remote(server.url), tmp_path).read_bytes() == CONTENT
    assert ranges(server) == [f"bytes={CUT}-"]


def test_a_server_that_ignores_the_range_sends_it_all_again(scripted_server, tmp_path):
    server = scripted_server(FIRST_PART, WHOLE)
    assert fetch(remote(server.url), tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_complete_needs_only_its_checksum(scripted_server, tmp_path):
    (tmp_path / "weights.h5.part").write_bytes(CONTENT)
    server = scripted_server(reply(416, b"", Content_Range=f"bytes */{len(CONTENT)}"))
    assert fetch(remote(server.url), tmp_path).read_bytes() == CONTENT


def test_a_server_that_keeps_cutting_is_given_up_and_what_came_is_kept(scripted_server, tmp_path):
    steps = [FIRST_PART]
    for start in (CUT, CUT + 1, CUT + 2):
        body = CONTENT[start : start + 1]
        span = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        steps.append(reply(206, body, of=len(CONTENT) - start, Content_Range=span))
    server = scripted_server(*steps)
    with pytest.raises(DownloadUnavailable, match="run the command again to continue"):
        fetch(remote(server.url), tmp_path)
    assert (tmp_path / "weights.h5.part").read_bytes() == CONTENT[: CUT + 3]


def test_no_network_is_said_at_once_with_what_else_can_be_done(unused_url, tmp_path):
    with pytest.raises(DownloadUnavailable, match=r"cannot be downloaded: .*refused.* --file"):
        fetch(remote(unused_url), tmp_path)


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_server_that_refuses_is_quoted(status, scripted_server, tmp_path):
    server = scripted_server(reply(status, b"<html>no</html>"))
    with pytest.raises(DownloadUnavailable, match=f"answers {status} Reason; .* --file"):
        fetch(remote(server.url), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_wrong_file_is_deleted_and_never_gets_the_name(scripted_server, tmp_path):
    server = scripted_server(reply(200, b"something else"))
    with pytest.raises(ModelInvalid, match="is not the published file: its sha256 is"):
        fetch(remote(server.url), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_went_bad_on_disk_is_noticed(scripted_server, tmp_path):
    server = scripted_server(WHOLE)
    fetch(remote(server.url), tmp_path).write_bytes(b"bad")
    with pytest.raises(ModelInvalid, match="not the published file"):
        fetch(remote(server.url), tmp_path)


def test_md5_is_checked_where_the_publisher_gives_no_better(scripted_server, tmp_path):
    good = Checksum("md5", hashlib.md5(CONTENT).hexdigest())
    server = scripted_server(WHOLE)
    assert fetch(remote(server.url, checksum=good), tmp_path).read_bytes() == CONTENT


def test_a_file_that_does_not_end_is_stopped(scripted_server, tmp_path):
    server = scripted_server(WHOLE)
    with pytest.raises(ModelInvalid, match="is longer than the 1,000 bytes it may have"):
        fetch(remote(server.url, max_bytes=1000), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_redirect_is_followed(scripted_server, tmp_path):
    target = scripted_server(WHOLE)
    server = scripted_server(reply(302, b"", Location=f"{target.url}/elsewhere"))
    assert fetch(remote(server.url), tmp_path).name == "weights.h5"


def test_two_at_once_download_once(scripted_server, tmp_path):
    server = scripted_server(WHOLE)
    barrier = threading.Barrier(4)

    def run(_):
        barrier.wait()
        return fetch(remote(server.url), tmp_path).read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(run, range(4))) == {CONTENT}
    assert len(server.requests) == 1


def test_the_environment_s_proxy_is_used(scripted_server, tmp_path, monkeypatch):
    proxy = scripted_server(WHOLE)
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    fetch(remote("http://weights.example"), tmp_path)
    assert proxy.requests[0].startswith(b"GET http://weights.example/weights.h5?x=1 HTTP/1.1")
