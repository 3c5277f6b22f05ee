import pytest

from rookery.notifications.substitution import substitute


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${A}", "1"),
        ("x${A}${LONG_NAME2}y", "x12y"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$A", "$A"),
        ("a$", "a$"),
    ],
)
def test_references_stand_for_their_values(text, value):
    assert substitute(text, {"A": "1", "LONG_NAME2": "2"}) == value


def test_a_value_is_not_substituted_again():
    assert substitute("${A}", {"A": "${B}", "B": "x"}) == "${B}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("${B}", "needs the environment variable B, which is not set"),
        ("${EMPTY}", "needs the environment variable EMPTY"),
        ("${A", "holds a"),
        ("${1}", "holds a"),
    ],
)
def test_a_reference_to_nothing_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        substitute(text, {"A": "1", "EMPTY": ""})
