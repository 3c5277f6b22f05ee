import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.notifications.key_regex import regex_problem


@pytest.mark.parametrize(
    "text",
    [
        "x", ".*", r".*\.(jpe?g|png)", r"(?:in|out)/[\w-]+", r"\d{2,4}", r"[^/]+/.*", "a|b|",
        r"^a\/b$", "é/.*", r"[A-Za-z0-9_.]+?", r"a{3}?", r"\(\[\{\*\+\?", r"\bx\B", "()", "",
    ],
)  # fmt: skip
def test_what_both_read_alike_may_pass(text):
    assert regex_problem(text) is None


# Python reads many of these; libstdc++ throws at them, and radosgw does not catch it.
@pytest.mark.parametrize(
    "text",
    [
        "([", "a**", "*a", "a{2,1}", "(?P<x>a)", "(?i)a", "(?<=a)b", "(?#c)", r"\Aa", r"a\Z",
        r"(a)\1", "a*+", "a++", "a?+", "x{", "}", "{", "[[:alpha:]]", "[b-a]", r"[\d-z]", "[é-ü]",
        "é+", "]", r"\n", r"\x41", "((a{99}){99}){99}", "a{100000}", "x" * 600, "(" * 600, "a{,3}",
        "(?>a)", "[]", "[^]", "\\",
    ],
)  # fmt: skip
def test_what_one_of_them_may_not_read_is_refused(text):
    assert regex_problem(text) is not None


@given(st.text(alphabet="ab.*+?|()[]{}^$\\dwb-,0159é:=<!PA", max_size=12))
def test_what_passes_is_a_regex_here_too(text):
    if regex_problem(text) is None:
        re.compile(text)
