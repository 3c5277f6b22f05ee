import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rookery.events.broker.document import Section
from rookery.events.broker.filters import parse_spec

EVENT = {
    "specversion": "1.0",
    "id": "1",
    "type": "com.amazonaws.ObjectCreated:Put",
    "source": "ceph:s3..photos",
    "subject": "holiday/beach.jpg",
    "tenant": "a",
}


def parse(text):
    problems = []
    parsed = parse_spec(Section.of(yaml.safe_load(text) or {}, "spec", problems))
    return parsed, problems


PASSES = [
    "",
    "filter: {}",
    "filters: []",
    "filter: {attributes: {type: 'com.amazonaws.ObjectCreated:Put'}}",
    "filter: {attributes: {type: 'com.amazonaws.ObjectCreated:Put', tenant: a}}",
    "filter: {attributes: {type: ''}}",
    "filter: {attributes: {time: ''}}",  # standard attributes count as set
    "filter: {attributes: {tenant: ''}}",
    "filters: [{exact: {tenant: a}}]",
    "filters: [{exact: {tenant: a, source: 'ceph:s3..photos'}}]",
    "filters: [{prefix: {type: com.amazonaws.}}]",
    "filters: [{suffix: {subject: .jpg}}]",
    "filters: [{prefix: {type: com.}}, {suffix: {subject: .jpg}}]",
    "filters: [{any: [{suffix: {subject: .png}}, {suffix: {subject: .jpg}}]}]",
    "filters: [{all: [{prefix: {subject: holiday/}}, {exact: {tenant: a}}]}]",
    "filters: [{not: {prefix: {type: dev.rookery.}}}]",
    "filters: [{not: {not: {exact: {tenant: a}}}}]",
    "filters: [{not: {exact: {absent: a}}}]",
    # `filters` is what counts where there are both.
    "{filters: [{exact: {tenant: a}}], filter: {attributes: {tenant: b}}}",
]
FAILS = [
    "filter: {attributes: {type: other}}",
    "filter: {attributes: {tenant: a, type: other}}",
    "filter: {attributes: {absent: ''}}",
    "filters: [{exact: {tenant: b}}]",
    "filters: [{exact: {absent: a}}]",
    "filters: [{prefix: {absent: a}}]",
    "filters: [{suffix: {absent: a}}]",
    "filters: [{prefix: {type: dev.}}]",
    "filters: [{prefix: {type: com.}}, {suffix: {subject: .png}}]",
    "filters: [{any: [{exact: {tenant: b}}, {exact: {tenant: c}}]}]",
    "filters: [{all: [{exact: {tenant: a}}, {exact: {tenant: c}}]}]",
    "filters: [{not: {prefix: {type: com.}}}]",
]


@pytest.mark.parametrize("spec", PASSES)
def test_passes(spec):
    parsed, problems = parse(spec)
    assert problems == []
    assert parsed.matches(EVENT)


@pytest.mark.parametrize("spec", FAILS)
def test_does_not_pass(spec):
    parsed, problems = parse(spec)
    assert problems == []
    assert not parsed.matches(EVENT)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("filters: [{cesql: 'true'}]", "spec.filters[0].cesql is not supported here"),
        ("filters: [{equals: {type: a}}]", "spec.filters[0].equals is no filter dialect"),
        ("filters: [{exact: {type: a}, prefix: {type: b}}]", "exactly one dialect"),
        ("filters: [{exact: {}}]", "spec.filters[0].exact must name an attribute"),
        ("filters: [{exact: {type: ''}}]", "spec.filters[0].exact.type must not be empty"),
        ("filters: [{exact: {Type: a}}]", "spec.filters[0].exact.Type is no attribute name"),
        ("filters: [{exact: {size: 3}}]", "spec.filters[0].exact.size must be a text"),
        ("filters: [{exact: a}]", "spec.filters[0].exact must be a mapping"),
        ("filters: [{}]", "spec.filters[0] must have one of"),
        ("filters: {exact: {type: a}}", "spec.filters must be a list"),
        ("filters: [{any: []}]", "spec.filters[0].any must be a list of at least one"),
        ("filters: [{all: 3}]", "spec.filters[0].all must be a list"),
        ("filters: [{not: []}]", "spec.filters[0].not must be a mapping"),
        ("filters: [{any: [{not: {nope: 1}}]}]", "spec.filters[0].any[0].not.nope"),
        ("filter: {attributes: {type: 3}}", "spec.filter.attributes.type must be a text"),
        ("filter: [a]", "spec.filter must be a mapping"),
    ],
)
def test_names_the_place_and_the_problem(spec, problem):
    _, problems = parse(spec)
    assert any(problem in each for each in problems), problems


def test_reports_every_problem():
    _, problems = parse("filters: [{nope: 1}, {exact: {}}, {cesql: x}]")
    assert len(problems) == 3


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["exact", "prefix", "suffix", "all", "any", "not", "type", "x"]),
                inner,
                max_size=3,
            )
        ),
    )
)
def test_any_document_is_parsed_or_refused(document):
    problems: list[str] = []
    parse_spec(Section.of({"filters": document}, "spec", problems)).matches(EVENT)


_leaves = st.builds(
    lambda dialect, name, value: {dialect: {name: value}},
    st.sampled_from(["exact", "prefix", "suffix"]),
    st.sampled_from(["type", "subject", "tenant", "absent"]),
    st.text("abc.", min_size=1, max_size=3),
)
_documents = st.recursive(
    _leaves,
    lambda inner: (
        st.builds(lambda each: {"not": each}, inner)
        | st.builds(
            lambda dialect, each: {dialect: each},
            st.sampled_from(["all", "any"]),
            st.lists(inner, min_size=1, max_size=3),
        )
    ),
    max_leaves=8,
)


@given(_documents)
def test_a_filter_writes_the_document_it_was_read_from(document):
    first = parse_spec(Section.of({"filters": [document]}, "spec", []))
    again = parse_spec(Section.of({"filters": [first.document()]}, "spec", []))
    assert again.filters[0] == first


@given(_documents, st.dictionaries(st.sampled_from(["type", "subject", "tenant"]), st.text("abc.")))
def test_not_is_the_opposite(document, attributes):
    one = parse_spec(Section.of({"filters": [document]}, "spec", []))
    other = parse_spec(Section.of({"filters": [{"not": document}]}, "spec", []))
    assert one.matches(attributes) != other.matches(attributes)
