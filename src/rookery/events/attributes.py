"""What CloudEvents allows as the name and the value of a context attribute (spec 1.0.2, 3.1)."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import quote

REQUIRED: Final = ("id", "source", "type")
OPTIONAL: Final = ("subject", "time", "datacontenttype", "dataschema")
MAX_ATTRIBUTES: Final = 128
MAX_VALUE_CHARS: Final = 8192

_NAME: Final = re.compile(r"[a-z0-9]+")
_NEVER_EMPTY: Final = frozenset((*REQUIRED, *OPTIONAL))
_PROBLEMS_SHOWN: Final = 8

# Section 3.1.1: no control characters, no lone surrogates, no noncharacters.
_NONCHARACTERS: Final = "\ufdd0-\ufdef" + "".join(
    f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
)
_FORBIDDEN: Final = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff{_NONCHARACTERS}]")
# RFC 2046 as far as a header needs it: type/subtype, then parameters in visible ASCII.
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE: Final = re.compile(rf"{_WORD}/{_WORD}(?:[ \t]*;[\x20-\x7e]*)?")
_TIMESTAMP: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:(?P<second>\d\d)(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)",
    re.ASCII | re.IGNORECASE,
)


def validate(attributes: Mapping[str, object]) -> tuple[dict[str, str], list[str]]:
    """Return the canonical strings of *attributes*, `specversion` left out, and every problem.

    An attribute that is None is unset (JSON event format, section 2.2).
    """
    if len(attributes) > MAX_ATTRIBUTES:
        return {}, [f"it has {len(attributes):,} attributes, the limit is {MAX_ATTRIBUTES}"]
    problems: list[str] = []
    values: dict[str, str] = {}
    for name, value in attributes.items():
        if value is None:
            continue
        text = _canonical(value)
        if text is None:
            problem = f"must be a string, an integer or a boolean, not {kind(value)}"
            problems.append(f"{shown(name)} {problem}")
            continue
        text = text.strip() if name == "datacontenttype" else text
        if problem := _problem(name, text):
            problems.append(f"{shown(name)} {problem}")
        else:
            values[name] = text
    problems.extend(f"{name} is missing" for name in REQUIRED if attributes.get(name) is None)
    if values.pop("specversion", None) != "1.0":
        found = attributes.get("specversion")
        said = "; it is missing" if found is None else f", not {shown(found)}"
        problems.insert(0, f"specversion must be 1.0{said}")
    if len(problems) > _PROBLEMS_SHOWN:
        more = len(problems) - _PROBLEMS_SHOWN
        problems = [*problems[:_PROBLEMS_SHOWN], f"and {more} more"]
    return values, problems


def is_legal(value: str) -> bool:
    """Whether a CloudEvents string may hold *value*."""
    return _FORBIDDEN.search(value) is None


def legal(value: str) -> str:
    """Percent-encode the characters of *value* that no CloudEvents string may hold.

    For showing a key as a `subject`; what must be exact belongs in the data.
    """
    return _FORBIDDEN.sub(lambda match: quote(match[0], safe="", errors="surrogatepass"), value)


def is_timestamp(value: str) -> bool:
    """Whether *value* is an RFC 3339 timestamp, leap seconds and any precision included."""
    match = _TIMESTAMP.fullmatch(value)
    if match is None:
        return False
    # datetime knows no second 60.
    start, end = match.span("second")
    text = f"{value[:start]}59{value[end:]}" if match["second"] == "60" else value
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True


def kind(value: object) -> str:
    """Name the JSON type of *value*, for an error message."""
    names = {dict: "an object", list: "an array", str: "a string", type(None): "null"}
    names |= {bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), f"a {type(value).__name__}")


def shown(value: object) -> str:
    """Write *value* for an error message: quoted where it needs it, and short."""
    text = str(value)
    if _NAME.fullmatch(text) and len(text) <= 20:  # noqa: PLR2004 - the spec's longest advised name
        return text
    return repr(text[:61] + "..." if len(text) > 64 else text)  # noqa: PLR2004


def _problem(name: str, value: str) -> str:
    """Say what is wrong with attribute *name*, or nothing."""
    found = ""
    if not _NAME.fullmatch(name):
        found = "is no attribute name: only a-z and 0-9 are allowed"
    elif name == "data":
        found = "is no attribute name: it is where the data goes"
    elif not value and name in _NEVER_EMPTY:
        found = "must not be empty"
    elif len(value) > MAX_VALUE_CHARS:
        found = f"has {len(value):,} characters, the limit is {MAX_VALUE_CHARS:,}"
    elif not is_legal(value):
        found = f"must not hold control characters, surrogates or noncharacters: {shown(value)}"
    elif name == "time" and not is_timestamp(value):
        found = f"must be an RFC 3339 timestamp, not {shown(value)}"
    elif name == "datacontenttype" and not _MEDIA_TYPE.fullmatch(value):
        found = f"must be a media type, not {shown(value)}"
    return found


def _canonical(value: object) -> str | None:
    """The canonical string form of an attribute value, or None when it has none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else None
