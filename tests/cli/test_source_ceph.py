import pytest
from click.testing import CliRunner

from rookery.cli.root import root
from rookery.errors import SettingsInvalid

FOREIGN = ("K_SINK", "K_CE_OVERRIDES", "S3_ENABLED", "ROOKERY_ON_POISON")


@pytest.fixture
def run(monkeypatch):
    """Run `rookery source ceph ...` in this process."""
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)

    def do(*words, **environ):
        return CliRunner().invoke(root, ["source", "ceph", *words], env=environ)

    return do


@pytest.mark.parametrize(
    ("words", "environ", "says"),
    [
        ([], {}, "give --sink URL"),
        (["--sink", "ftp://x/"], {}, "must be an http or https URL"),
        (["--sink", "broker"], {}, "must be an http or https URL"),
        (["--sink", "http://u:secret@x/"], {}, "leave it out"),
        (["--sink", "http://x/"], {"K_CE_OVERRIDES": "{"}, "K_CE_OVERRIDES is not JSON"),
    ],
)
def test_refuses_to_start_with_what_cannot_work(run, words, environ, says):
    error = run(*words, **environ).exception
    assert isinstance(error, SettingsInvalid)
    assert says in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "words",
    [
        ["--concurrency", "0"],
        ["--port", "70000"],
        ["--timeout-seconds", "0"],
        ["--on-poison", "ignore"],
        ["--max-body-bytes", "1"],
    ],
)
def test_refuses_an_option_out_of_range(run, words):
    done = run("--sink", "http://x/", *words)
    assert done.exit_code == 2
    assert f"Invalid value for '{words[0]}'" in done.output


def test_explains_itself(run):
    done = run("--help")
    assert done.exit_code == 0
    assert "rookery source ceph --sink http://127.0.0.1:8081" in done.output
