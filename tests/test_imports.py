"""What an import does is frozen into every snapshot clone, so it does nothing."""

import json
import pkgutil
import subprocess
import sys
import textwrap

import pytest

import rookery

# One worker, because what these tests share takes seconds to start.
pytestmark = pytest.mark.xdist_group("imports")

MODULES = sorted(module.name for module in pkgutil.walk_packages(rookery.__path__, "rookery."))
HEAVY = {
    "PIL", "boto3", "botocore", "cloudevents", "flask", "functions_framework", "keras", "moto",
    "numpy", "openvino", "prometheus_client", "pydantic", "pydantic_settings", "redis",
    "tensorflow", "urllib3", "waitress", "werkzeug", "yaml",
}  # fmt: skip

# Imports every module and looks, before and after each, at what an import must not touch.
LOOK = """
import importlib, json, logging, os, signal, sys, threading

def state():
    return {
        "environment": dict(os.environ),
        "file descriptors": sorted(
            os.readlink(f"/proc/self/fd/{fd}")
            for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")
        ),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "root handlers": [repr(handler) for handler in logging.getLogger().handlers],
        "root level": logging.getLogger().level,
        "path": list(sys.path),
        "signal handlers": [repr(signal.getsignal(n)) for n in signal.valid_signals()],
        "working directory": os.getcwd(),
    }

changes = {}
for name in sys.argv[1:]:
    before = state()
    importlib.import_module(name)
    after = state()
    changed = [what for what in before if before[what] != after[what]]
    if changed:
        changes[name] = {what: [before[what], after[what]] for what in changed}
print(json.dumps({"changes": changes, "loaded": list(sys.modules)}))
"""


def run(code, *arguments):
    found = subprocess.run(
        (sys.executable, "-c", textwrap.dedent(code), *arguments),
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return found.stdout


@pytest.fixture(scope="module")
def imported():
    """`changes` by each module's import, what to [before, after]; and all that is `loaded` then."""
    return json.loads(run(LOOK, *MODULES))


@pytest.fixture(scope="module")
def loaded_by_help():
    """Every module that `rookery --help` loads."""
    return set(
        run(
            """
            import sys
            sys.argv = ["rookery", "--help"]
            from rookery.cli import main
            try:
                main()
            except SystemExit:
                print("\\nmodules:", *sys.modules)
            """
        )
        .rpartition("modules: ")[2]
        .split()
    )


def test_the_package_has_modules():
    assert "rookery.serving.server" in MODULES


@pytest.mark.parametrize("module", MODULES)
def test_importing_does_nothing(imported, module):
    assert imported["changes"].get(module, {}) == {}


def test_help_is_loaded_by_importing_next_to_nothing(loaded_by_help):
    assert "rookery.cli.root" in loaded_by_help
    assert loaded_by_help & HEAVY == set()
    assert {name for name in loaded_by_help if name.startswith("rookery.")} == {
        "rookery.cli",
        "rookery.cli.root",
        "rookery.errors",
    }


@pytest.mark.parametrize(
    "library", ["tensorflow", "openvino", "keras", "moto", "redis", "matplotlib"]
)
def test_no_module_loads_a_heavy_library_before_it_is_used(imported, library):
    assert library not in imported["loaded"]


@pytest.mark.parametrize("module", MODULES)
def test_what_a_module_says_it_exports_is_there(module):
    exported = getattr(__import__(module, fromlist=["_"]), "__all__", [])
    missing = [name for name in exported if not hasattr(sys.modules[module], name)]
    assert missing == []


def test_the_package_exports_its_version_and_its_python_api():
    assert rookery.__all__ == ["__version__", "load_model"]
    assert rookery.__version__.count(".") == 2
    assert callable(rookery.load_model)


def test_what_the_package_exports_can_be_completed():
    assert set(rookery.__all__) <= set(dir(rookery))


def test_importing_the_package_loads_nothing_else():
    look = "import sys; before = {*sys.modules}; import rookery; print(*{*sys.modules} - before)"
    assert run(look).split() == ["rookery"]


def test_the_package_has_nothing_else():
    with pytest.raises(AttributeError, match="'rookery' has no attribute 'nothing'"):
        _ = rookery.nothing
