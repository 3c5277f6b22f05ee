"""Regular expressions that Ceph surely understands.

radosgw hands a filter's regex to C++'s std::regex at every upload and does not expect that to fail:
an expression it cannot compile is accepted, and the next PUT aborts the whole radosgw (measured,
16.2.15). So only what Python and ECMAScript both read, and alike, may pass.
"""

import re
from typing import Final

_ONE: Final = r"[^\\\[\]^\-\x80-\U0010ffff]"  # in brackets; Ceph matches bytes, not characters
_SIGN: Final = r"\\[!-/:-@\[-^`{-~]"
_TOKEN: Final = re.compile(
    rf"""
    (?P<open> \((?:\?:)? )
    | (?P<count> (?:[*+?] | \{{(?P<low>\d+)(?P<more>,(?P<high>\d*))?\}})\?? )
    | (?P<bar> \| )
    | (?P<wide> [^\x00-\x7f] )
    | [^\\()\[\]{{}}*+?|] | \) | \\[dDsSwWbB] | {_SIGN}
    | \[(?![^\]]*(?:&&|\|\||~~))\^?(?:{_ONE}-{_ONE} | {_ONE} | \\[dDsSwW] | {_SIGN})+-?\]
    """,
    re.VERBOSE,
)
# What nothing may be counted after: the start, and these. Of a character that is several bytes, a
# count would take the last byte alone.
_UNCOUNTED: Final = frozenset({"", "open", "bar", "count", "wide"})
# libstdc++ unrolls counts, and gives up at 100,000 states.
_MAX_STATES: Final = 10_000
_MAX_LENGTH: Final = 512


def regex_problem(text: str) -> str | None:
    """Say why *text* may not be a filter's regex, or None."""
    if len(text) > _MAX_LENGTH:
        return f"is longer than {_MAX_LENGTH} characters"
    position, before, states = 0, "", len(text)
    while position < len(text):
        token = _TOKEN.match(text, position)
        kind = "" if token is None else token.lastgroup or "other"
        if token is None or (kind == "count" and before in _UNCOUNTED):
            return (
                f"holds {text[position : position + 4]!r}, which Ceph may read differently or not "
                "at all; use literals, . \\d \\w \\s [a-z] ( ) (?: ) | * + ? {n,m} ^ $ and \\ "
                "before a sign"
            )
        if token["low"] is not None:
            states *= int(token["high"] or token["low"]) + 1
        position, before = token.end(), kind
    if states > _MAX_STATES:
        return f"counts too far: about {states:,} states"
    try:
        re.compile(text)
    except (re.error, RecursionError) as exc:
        return f"is no regular expression: {exc}"
    return None
