"""Verifying AWS Signature Version 4 in the Authorization header, for the embedded S3.

Checks who signed and that the secret was theirs. It takes the payload hash on the client's word
and looks at no clock: it makes wrong credentials fail, and is no gate for an open network.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Refusal = Literal["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"]

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a signature covers.

    Attributes:
        target: path and query exactly as they were sent, still percent-encoded.
        headers: by lower-case name.
        body: used only where no x-amz-content-sha256 header states its hash.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


def refusal(request: SignedRequest, *, access_key: str, secret_key: str) -> Refusal | None:
    """Say why *request* is not properly signed with this key pair; None when it is."""
    algorithm, _, rest = request.headers.get("authorization", "").partition(" ")
    fields = {name.strip(): value for name, _, value in (p.partition("=") for p in rest.split(","))}
    scope = fields.get("Credential", "").split("/")
    if algorithm != _ALGORITHM or len(scope) != 5 or "Signature" not in fields:  # noqa: PLR2004
        return "AccessDenied"
    if not hmac.compare_digest(scope[0].encode(), access_key.encode()):
        return "InvalidAccessKeyId"
    text = "\n".join(
        (
            _ALGORITHM,
            request.headers.get("x-amz-date", ""),
            "/".join(scope[1:]),
            hashlib.sha256(_canonical(request, fields.get("SignedHeaders", ""))).hexdigest(),
        )
    )
    key = b"AWS4" + secret_key.encode()
    for part in (*scope[1:], text):
        key = hmac.digest(key, part.encode(), "sha256")
    good = hmac.compare_digest(key.hex(), fields["Signature"])
    return None if good else "SignatureDoesNotMatch"


def _canonical(request: SignedRequest, signed_headers: str) -> bytes:
    path, _, query = request.target.partition("?")
    pairs = sorted(tuple(pair.partition("=")[::2]) for pair in query.split("&") if pair)
    lines = [
        request.method,
        path or "/",
        "&".join(f"{name}={value}" for name, value in pairs),
        *(
            f"{name}:{' '.join(request.headers.get(name, '').split())}"
            for name in signed_headers.split(";")
        ),
        "",
        signed_headers,
        request.headers.get("x-amz-content-sha256") or hashlib.sha256(request.body).hexdigest(),
    ]
    return "\n".join(lines).encode()
