import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from rookery.storage.signature import SignedRequest, refusal

ACCESS, SECRET = "me", "a/secret+key="


def signed(auth, path="/images/a%20b/%C3%A9", query="", body=b"", *, keys=(ACCESS, SECRET)):
    """Let botocore sign a request, and write down what a server sees of it."""
    request = AWSRequest("PUT", f"http://127.0.0.1:9000{path}{query}", data=body)
    request.headers["Content-Type"] = "image/jpeg"
    auth(Credentials(*keys), "s3", "us-east-1").add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return SignedRequest("PUT", f"{path}{query}", {"host": "127.0.0.1:9000", **headers}, body=body)


def judge(request):
    return refusal(request, access_key=ACCESS, secret_key=SECRET)


@pytest.mark.parametrize("auth", [SigV4Auth, S3SigV4Auth])
@pytest.mark.parametrize("query", ["", "?uploads", "?b=2&a=1&a=0", "?prefix=a%2Fb&x="])
def test_what_botocore_signs_is_accepted(auth, query):
    assert judge(signed(auth, "/images/key", query, b"data")) is None


@given(st.text(st.sampled_from("abz09-._~!$'()*+,;:@&=/ é🦉"), min_size=1).map(lambda k: f"/b/{k}"))
def test_any_key_is_accepted(path):
    from urllib.parse import quote

    assert judge(signed(S3SigV4Auth, quote(path, safe="/~"))) is None


def test_another_access_key_is_unknown():
    request = signed(S3SigV4Auth, keys=("you", SECRET))

    assert judge(request) == "InvalidAccessKeyId"


def test_another_secret_does_not_match():
    request = signed(S3SigV4Auth, keys=(ACCESS, "guess"))

    assert judge(request) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "DELETE"},
        {"target": "/images/another"},
        {"target": "/images/key?acl"},
        {"body": b"other"},
    ],
)
def test_a_changed_request_does_not_match(changed):
    request = signed(SigV4Auth, "/images/key", body=b"data")
    values = {name: getattr(request, name) for name in ("method", "target", "headers", "body")}

    assert judge(SignedRequest(**(values | changed))) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer token",
        "AWS me:signature",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=me/20260101/us-east-1/s3/aws4_request",
        "AWS4-HMAC-SHA256 Credential=me, SignedHeaders=host, Signature=00",
    ],
)
def test_what_is_no_signature_is_denied(authorization):
    request = SignedRequest("GET", "/", {"authorization": authorization})

    assert judge(request) == "AccessDenied"


@given(st.text())
def test_anything_else_is_refused(text):
    request = SignedRequest("GET", "/", {"authorization": f"AWS4-HMAC-SHA256 {text}"})

    assert judge(request) is not None
