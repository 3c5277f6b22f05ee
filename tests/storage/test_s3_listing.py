"""The S3 listing against servers that misbehave; the contract suite has the ones that behave."""

import pytest

from rookery.errors import StorageDenied, StorageUnavailable
from rookery.storage import s3

ONE = (
    "<Contents><Key>a%01.jpg</Key><LastModified>2026-11-21T14:49:31.401Z</LastModified>"
    "<ETag>&quot;0f&quot;</ETag><Size>4</Size></Contents>"
)


def page(inside, *, truncated="false", status="200 OK"):
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><EncodingType>url</EncodingType>'
        f"<Name>images</Name><IsTruncated>{truncated}</IsTruncated>{inside}</ListBucketResult>"
    )
    return answer(status, body)


def answer(status, body=""):
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", "", body)
    return "\r\n".join(lines).encode()


@pytest.fixture
def listing(scripted_server):
    stores = []

    def make(*steps):
        stores.append(
            s3.connect(
                endpoint=scripted_server(*steps).url,
                region="us-east-1",
                access_key="someone",
                secret_key="secret",
                attempts=1,
            )
        )
        return stores[-1].listing()

    yield make
    for store in stores:
        store.close()


def keys(page):
    return [one.key for one in page.objects]


@pytest.mark.parametrize("repeated", ["a&#x01;.jpg", "a\x01.jpg", "&#x1;", "&#x1B;", "\x1f"])
@pytest.mark.parametrize("element", ["NextContinuationToken", "StartAfter"])
def test_a_page_that_repeats_an_odd_key_in_broken_xml_is_read(listing, element, repeated):
    found = listing(page(f"<{element}>{repeated}</{element}>{ONE}")).page("images", after="b")

    assert keys(found) == ["a\x01.jpg"]


def test_characters_that_xml_knows_stay(listing):
    found = listing(page(ONE.replace("a%01", "&#x61;&#x9;&#xe9;&#x1f989;"))).page("images")

    assert keys(found) == ["a\té🦉.jpg"]


def test_a_page_that_says_there_is_more_and_has_nothing_is_the_last(listing):
    assert listing(page("", truncated="true")).page("images").more is False


@pytest.mark.parametrize(
    "step",
    [
        page("<Contents><Key>a"),
        page(ONE)[:-20],
        page("\x01", status="503 Slow Down"),
        answer("200 OK", "<Error><Code>InternalError</Code></Error>"),
        answer("200 OK", "<html>\x01 a proxy"),
        answer("500 Oh", "<Error><Code>Intern"),
        b"",
    ],
    ids=["cut off", "short", "503", "error as 200", "HTML as 200", "cut off 500", "closed"],
)
def test_a_broken_answer_is_unavailable(listing, step):
    with pytest.raises(StorageUnavailable):
        listing(step).page("images")


def test_a_refusal_is_said(listing):
    with pytest.raises(StorageDenied, match="images"):
        listing(answer("403 Forbidden")).page("images")


@pytest.mark.parametrize(
    ("status", "error"), [("403 Forbidden", StorageDenied), ("500 Oh", StorageUnavailable)]
)
def test_an_object_that_cannot_be_asked_for_is_not_taken_for_missing(listing, status, error):
    with pytest.raises(error, match=r"images/a\.jpg"):
        listing(answer(status)).find("images", "a.jpg")


def test_a_web_page_is_no_empty_bucket(listing):
    welcome = listing(answer("200 OK", "<html><body>Welcome</body></html>"))
    with pytest.raises(StorageUnavailable, match=r"does not list images as S3 does.*S3_ENDPOINT"):
        welcome.page("images")
