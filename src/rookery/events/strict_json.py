"""JSON from strangers: finite numbers, bounded nesting, and text that can be sent on."""

import json
from typing import Final, NoReturn

from rookery.errors import EventInvalid

MAX_DEPTH: Final = 100
"""Deeper documents are refused: they cost stack wherever they are read or written again."""

_SAFE_DIGITS: Final = 308  # the largest double has one more
_OPENING: Final = b"[{"
_NOT_A_BRACKET: Final = bytes(sorted(set(range(256)) - set(b"[]{}")))


def parse(text: bytes | str, *, what: str = "the body") -> object:
    """Parse JSON; *what* names it in errors.

    Raises:
        EventInvalid: it is not JSON (RFC 8259: no NaN or Infinity), has a number that no double
            can hold, or nests deeper than MAX_DEPTH.
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if _depth_exceeds(raw, MAX_DEPTH):
        raise EventInvalid(f"{what} nests deeper than {MAX_DEPTH} levels")
    try:
        # Given bytes, json.loads would guess at UTF-16 and UTF-32; RFC 8259 knows only UTF-8.
        decoded = text if isinstance(text, str) else text.decode("utf-8-sig")
        parsed: object = json.loads(
            decoded, parse_constant=_no_constant, parse_float=_finite, parse_int=_whole
        )
    except (ValueError, RecursionError) as exc:
        raise EventInvalid(f"{what} is not JSON: {exc}") from exc
    return parsed


def serialize(value: object) -> bytes:
    """Write *value* compactly, as UTF-8; a lone surrogate stays an escape, as it came."""
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def _depth_exceeds(raw: bytes, limit: int) -> bool:
    # Two counts in C settle nearly every document; only one with many brackets is scanned.
    if raw.count(b"[") + raw.count(b"{") <= limit:
        return False
    # Without its escapes, every other piece between quotes is outside of strings.
    unescaped = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = b"".join(unescaped.split(b'"')[::2])
    depth = 0
    for bracket in outside.translate(None, _NOT_A_BRACKET):
        if bracket not in _OPENING:
            depth -= 1
            continue
        depth += 1
        if depth > limit:
            return True
    return False


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _whole(literal: str) -> int:
    if len(literal) > _SAFE_DIGITS:
        _finite(literal)
    return int(literal)


def _finite(literal: str) -> float:
    number = float(literal)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {literal[:32]} is out of range")
    return number
