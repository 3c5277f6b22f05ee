from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import FunctionInvalid
from rookery.function_folder import EventSubscription, find_function, find_functions

ENVIRON = {"HOME": "/home/me", "EMPTY": ""}


@pytest.fixture
def functions(tmp_path):
    """Write function folders; return the folder that holds them."""

    def write(**files: str | bytes) -> Path:
        for name, text in files.items():
            folder = tmp_path / name
            folder.mkdir()
            (folder / f"{name}.py").touch()
            raw = text if isinstance(text, bytes) else text.encode()
            (folder / "func.yaml").write_bytes(raw)
        return tmp_path

    return write


def test_a_folder_says_its_name_its_target_its_environment_and_its_subscriptions(functions):
    root = functions(
        birds="""
specVersion: 0.36.0
name: birds
runtime: python
run:
  envs:
    - name: A
      value: plain
    - name: B
      value: '{{ env:HOME }}'
deploy:
  subscriptions:
    - source: default
      filters: {type: t, extension: "7"}
    - filters: {type: u}
"""
    )
    found = find_function("birds", root, ENVIRON)
    assert (found.name, found.path) == ("birds", root / "birds")
    assert found.target == root / "birds" / "birds.py"
    assert found.envs == {"A": "plain", "B": "/home/me"}
    assert found.subscriptions == (
        EventSubscription("default", {"type": "t", "extension": "7"}),
        EventSubscription("default", {"type": "u"}),
    )


@pytest.mark.parametrize("rest", ["", "run:\ndeploy:\n", "run: {}\ndeploy: {subscriptions: []}\n"])
def test_a_folder_need_say_no_more_than_its_name(functions, rest):
    found = find_function("birds", functions(birds=f"name: birds\n{rest}"), ENVIRON)
    assert (found.envs, found.subscriptions) == ({}, ())


@pytest.mark.parametrize(
    ("written", "resolved"),
    [
        ("{name: A, value: x}", {"A": "x"}),
        ("{name: A, value: ''}", {"A": ""}),
        ("{name: A, value: null}", {"A": ""}),
        ("{name: A}", {"A": ""}),
        ("{name: A, value: 8080}", {"A": "8080"}),
        ("{name: A, value: true}", {"A": "true"}),
        ("{name: A, value: 'ä + %'}", {"A": "ä + %"}),
        ("{name: A, value: '{{ env:HOME }}'}", {"A": "/home/me"}),
        ("{name: A, value: '{{env:HOME}}'}", {"A": "/home/me"}),
        ("{name: A, value: '{{ env:NOBODY }}'}", {"A": ""}),
        ("{name: A, value: '{{ secret:s:k }}'}", {}),
        ("{name: A, value: '{{ configMap:c:k }}'}", {}),
        ("{value: '{{ secret:s }}'}", {}),
        ("{value: x}", {}),
        ("{name: null, value: x}", {}),
    ],
)
def test_an_environment_variable_is_what_it_would_be_on_a_cluster(functions, written, resolved):
    root = functions(birds=f"name: birds\nrun: {{envs: [{written}]}}\n")
    assert find_function("birds", root, ENVIRON).envs == resolved


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a mapping"),
        ("- a list", "is not a mapping"),
        ("{", "cannot be read"),
        (b"name: \xff", "cannot be read"),
        ("a: &a [*a]\nname: birds\nrun: x", "run must be a mapping, it is 'x'"),
        ("runtime: python", "name must be one lowercase word, it is None"),
        ("name: two-words", "it is 'two-words'"),
        ("name: Birds", "it is 'Birds'"),
        ("name: 7", "it is 7"),
        ("name: ../birds", "it is '../birds'"),
        ("name: other", "other.py does not exist"),
        ("name: birds\nrun: [1]", "run must be a mapping"),
        ("name: birds\nrun: {envs: {A: b}}", "envs must be a list of mappings"),
        ("name: birds\nrun: {envs: [A]}", "envs must be a list of mappings"),
        ("name: birds\ndeploy: {subscriptions: [x]}", "subscriptions must be a list of mappings"),
        ("name: birds\ndeploy: {subscriptions: [{filters: x}]}", "filters must be a mapping"),
        ("name: birds\ncreated: 2026-13-01", "cannot be read"),
        ("name: !!python/object/apply:os.getcwd []", "cannot be read"),
    ],
)
def test_a_func_yaml_that_cannot_be_used_is_named_with_what_is_wrong(functions, text, message):
    root = functions(birds=text)
    with pytest.raises(FunctionInvalid) as raised:
        find_function("birds", root, ENVIRON)
    assert message in str(raised.value)
    assert "func.yaml" in str(raised.value)


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_func_yaml_is_read_or_refused(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("birds")
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    (folder / "func.yaml").write_bytes(b"name: birds\nrun: " + raw)
    with pytest.raises(FunctionInvalid):  # if only because there is no birds.py
        find_function(f"{folder}/", folder.parent, ENVIRON)


def test_an_unknown_function_is_told_which_there_are(functions):
    root = functions(crows="name: crows", rooks="name: rooks")
    with pytest.raises(FunctionInvalid, match=r"'birds'.*crows, rooks"):
        find_function("birds", root, ENVIRON)


def test_in_an_empty_folder_there_is_none(tmp_path):
    with pytest.raises(FunctionInvalid, match="none"):
        find_function("birds", tmp_path, ENVIRON)
    assert find_functions(tmp_path / "nowhere", ENVIRON) == ()


@pytest.mark.parametrize("written", ["{}/birds", "{}/birds/"])
def test_a_function_can_be_named_by_its_path(functions, written, tmp_path_factory):
    root = functions(birds="name: birds")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert find_function(written.format(root), elsewhere, ENVIRON).name == "birds"


def test_all_functions_are_found_by_name_in_order(functions):
    root = functions(rooks="name: rooks", crows="name: crows")
    (root / "no-function").mkdir()
    (root / "file.txt").touch()
    assert [found.name for found in find_functions(root, ENVIRON)] == ["crows", "rooks"]


def test_one_broken_function_is_a_message_about_that_one(functions):
    root = functions(rooks="name: rooks", crows="name: [")
    with pytest.raises(FunctionInvalid, match="crows"):
        find_functions(root, ENVIRON)
