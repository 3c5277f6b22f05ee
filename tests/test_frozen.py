import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.frozen import (
    _FIXED,
    changes,
    computing,
    donor_environment,
    frozen,
    literal_secrets,
    secrets_in,
    variables,
)
from rookery.function_folder import FunctionFolder
from rookery.models.card import dump, load_card
from rookery.settings import _DEFAULTS, SECRET_VARIABLES, Settings

# Every setting is one of these. Whoever adds one decides: if anything is made of it before the
# snapshot point (see rookery.preparation), it is FIXED, so that a clone with another value boots.
FIXED = {
    "ROOKERY_BACKEND": "openvino",
    "ROOKERY_THREADS": "2",
    "ROOKERY_PERFORMANCE": "throughput",
    "ROOKERY_PIN_THREADS": "true",
    "ROOKERY_TOP_K": "3",
    "ROOKERY_CONCURRENCY": "4",
    "ROOKERY_QUEUE": "0",
    "ROOKERY_MAX_BODY_BYTES": "1000",
    "ROOKERY_MAX_PIXELS": "1000",
    "ROOKERY_FORMATS": "PNG,JPEG",
    "ROOKERY_STARTUP_SECONDS": "1.5",
}
COMPARED = {"ROOKERY_MODEL"}  # by what the model is
USED_BEFORE_AND_HARMLESS = {
    "ROOKERY_HOME",  # where the model lies: the model itself is compared
    "ROOKERY_MODEL_CACHE",  # what is compiled is the same wherever it is kept
    "ROOKERY_DEFAULT_IMAGE",  # for the rehearsal's gallery, which ends with it
    "ROOKERY_DEDUP",  # decides which library is imported early
    "ROOKERY_HOOK_SECONDS",  # the donor's
    "ROOKERY_SNAPSHOT",
    "ROOKERY_CRIU",
    "SNAPSHOT_CONTROL_DIR",
}
READ_AFTER = {
    "K_CA_CERTS", "K_CE_OVERRIDES", "K_SINK", "PORT", "ROOKERY_BODY_SECONDS", "ROOKERY_DATA_DIR",
    "ROOKERY_DEDUP_ENTRIES", "ROOKERY_DEDUP_PASSWORD_FILE", "ROOKERY_DEDUP_SECONDS",
    "ROOKERY_DRAIN_SECONDS", "ROOKERY_HEADER_SECONDS", "ROOKERY_HOST", "ROOKERY_INGRESS_TOKEN",
    "ROOKERY_INGRESS_TOKEN_FILE", "ROOKERY_MAX_CONNECTIONS", "ROOKERY_MAX_RECORDS",
    "ROOKERY_ON_POISON", "ROOKERY_RESULTS_BUCKET", "ROOKERY_RESULTS_PREFIX", "ROOKERY_SINK_TOKEN",
    "ROOKERY_SINK_TOKEN_FILE", "S3_ACCESS_KEY", "S3_ACCESS_KEY_FILE", "S3_AWS_REGION",
    "S3_BUCKET_NAME", "S3_CA_FILE", "S3_ENABLED", "S3_ENDPOINT_URL", "S3_EVENT_NAME",
    "S3_SECRET_KEY", "S3_SECRET_KEY_FILE",
}  # fmt: skip

SECRETS = SECRET_VARIABLES | {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
}  # fmt: skip
# Of others, with beginnings that are let through.
OTHERS = {
    "TF_VAR_db_password", "TF_VAR_region", "TF_TOKEN_app_terraform_io", "PYTHON_KEYRING_PASSWORD",
    "OV_API_KEY", "COVERAGE_SECRET", "LC_CREDENTIALS", "MKL_LICENSE_KEY",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "classify"
    path.mkdir()
    (path / "func.yaml").write_text("name: classify\n")
    (path / "classify.py").write_text("function = ...\n")
    return FunctionFolder(name="classify", path=path)


# --- which settings ------------------------------------------------------------------------


def test_of_every_setting_it_is_known_whether_a_snapshot_fixes_it():
    decided = [FIXED.keys(), COMPARED, USED_BEFORE_AND_HARMLESS, READ_AFTER]
    assert sorted(name for names in decided for name in names) == sorted(_DEFAULTS)
    assert _FIXED.keys() == FIXED.keys()


@pytest.mark.parametrize("name", FIXED)
def test_a_setting_that_is_fixed_changes_what_is_frozen(settings, folder, name):
    then, now = frozen(settings(), folder), frozen(settings(**{name: FIXED[name]}), folder)
    (change,) = changes(then, now)
    assert re.match(f"{name} is {FIXED[name]}, it was ", change)


def test_nothing_else_does(settings, folder, tmp_path):
    then = frozen(settings(), folder)
    others = {
        "PORT": "9000",
        "ROOKERY_HOST": "::1",
        "K_SINK": "http://broker/default",
        "S3_ENABLED": "true",
        "S3_BUCKET_NAME": "images",
        "S3_ACCESS_KEY": "a",
        "S3_SECRET_KEY": "s",
        "ROOKERY_INGRESS_TOKEN": "hush",
        "ROOKERY_DATA_DIR": str(tmp_path),
        "ROOKERY_DEDUP": f"sqlite:{tmp_path}/dedup.db",
    }
    assert changes(then, frozen(settings(**others), folder)) == []


# --- the model and the function ------------------------------------------------------------


def test_another_card_is_another_model(settings, folder, penguins, tmp_path):
    home = tmp_path / "home"
    version = home / "models" / "penguins" / "1"
    version.mkdir(parents=True)
    for file in penguins.directory.iterdir():
        (version / file.name).write_bytes(file.read_bytes())
    moved = {"ROOKERY_HOME": str(home)}
    assert changes(frozen(settings(), folder), frozen(settings(**moved), folder)) == []
    card = load_card(version)
    (version / "model.json").write_text(dump(replace(card, license="MIT")))
    (change,) = changes(frozen(settings(), folder), frozen(settings(**moved), folder))
    assert re.match(r"model is penguins/1 \(\w{16}\), it was penguins/1 \(\w{16}\)", change)


def edit(name):
    def make(path):
        (path / name).write_text((path / name).read_text() + "# changed\n")

    return make


def add(name):
    def make(path):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text("A = 1\n")

    return make


@pytest.mark.parametrize("change", [edit("func.yaml"), edit("classify.py"), add("labels.py")])
def test_other_code_is_another_function(settings, folder, change):
    then = frozen(settings(), folder)
    change(folder.path)
    (change,) = changes(then, frozen(settings(), folder))
    assert change.startswith("function is classify (")


@pytest.mark.parametrize(
    "name", ["README.md", "data/photo.jpg", "__pycache__/classify.pyc", ".env"]
)
def test_what_is_read_anew_or_by_people_is_not_code(settings, folder, name):
    then = frozen(settings(), folder)
    add(name)(folder.path)
    assert changes(then, frozen(settings(), folder)) == []


def test_the_same_function_may_lie_elsewhere(settings, folder):
    then = frozen(settings(), folder)
    elsewhere = folder.path.rename(folder.path.with_name("moved"))
    assert frozen(settings(), replace(folder, path=elsewhere)) == then


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        ({}, {}, []),
        ({"A": "1"}, {"A": "1"}, []),
        ({"A": "1"}, {"A": "2"}, ["A is 2, it was 1"]),
        ({"A": "1"}, {"A": ""}, ["A is unset, it was 1"]),
        ({"B": "1"}, {"A": "1"}, ["A is 1, it was unset", "B is unset, it was 1"]),
    ],
)  # fmt: skip
def test_changes_are_said_by_name(then, now, said):
    assert changes(then, now) == said


# --- the donor's environment ---------------------------------------------------------------


ANYTHING = Settings(ROOKERY_HOME=Path("/srv/rookery"))
names = st.sampled_from(sorted(SECRETS | OTHERS)) | st.text(
    st.characters(codec="ascii"), min_size=1
)


@given(st.dictionaries(names, st.just("open-sesame")))
def test_no_secret_gets_into_it(environ):
    donors = donor_environment(environ, ANYTHING)
    assert donors.keys().isdisjoint(SECRETS | OTHERS)
    assert "K_SINK" not in donors
    let_through = [name for name, value in donors.items() if value == "open-sesame"]
    assert not [name for name in let_through if re.search("(?i)token|secret|pass|key", name)]


HARMLESS = [
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "TF_CPP_MIN_LOG_LEVEL", "KMP_BLOCKTIME",
    "OMP_NUM_THREADS", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "LD_LIBRARY_PATH",
    "COVERAGE_PROCESS_START",
]  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_what_libraries_and_the_system_read_gets_into_it(name):
    assert donor_environment({name: "this"}, ANYTHING)[name] == "this"


@pytest.mark.parametrize("environ", [{}, {"MALLOC_MMAP_MAX_": "7"}])
def test_a_donor_maps_no_large_block_alone(environ):
    assert donor_environment(environ, ANYTHING)["MALLOC_MMAP_MAX_"] == "0"


@pytest.mark.parametrize(
    ("tunables", "left"),
    [
        ("glibc.malloc.mmap_max=7", ""),
        ("glibc.malloc.mmap_max=7:glibc.malloc.arena_max=2", "glibc.malloc.arena_max=2"),
        ("glibc.malloc.arena_max=2:glibc.malloc.mmap_max=7", "glibc.malloc.arena_max=2:"),
        ("glibc.malloc.mmap_threshold=7", "glibc.malloc.mmap_threshold=7"),
    ],
)
def test_no_tunable_of_glibc_makes_it_map_them(tunables, left):
    assert donor_environment({"GLIBC_TUNABLES": tunables}, ANYTHING)["GLIBC_TUNABLES"] == left


@pytest.mark.parametrize("more", [{}, FIXED, {"ROOKERY_MODEL": "penguins/1"}])
def test_a_donor_reads_the_settings_that_are_fixed_out_of_it(settings, folder, more, monkeypatch):
    wanted = settings(**more)
    environ = donor_environment({}, wanted)
    for name in _DEFAULTS:
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    assert frozen(Settings.read(), folder) == frozen(wanted, folder)


def test_what_func_yaml_says_is_not_added_to_what_was_unset():
    assert FIXED.keys() <= donor_environment({}, ANYTHING).keys()


def test_a_home_is_found_from_any_folder(settings):
    environ = donor_environment({}, settings(ROOKERY_HOME="home"))
    assert Path(environ["ROOKERY_HOME"]) == Path.cwd() / "home"


def test_a_donor_keeps_what_it_compiles_where_the_settings_say(settings, tmp_path):
    kept = donor_environment({}, settings(ROOKERY_MODEL_CACHE=str(tmp_path)))
    assert kept["ROOKERY_MODEL_CACHE"] == str(tmp_path)
    assert (
        donor_environment({}, settings(ROOKERY_MODEL_CACHE="off"))["ROOKERY_MODEL_CACHE"] == "off"
    )


# --- what must be in no snapshot -----------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_every_secret_is_looked_for(name):
    assert secrets_in({name: "redis://:hush@redis", "PATH": "/bin"}) == {
        name: "redis://:hush@redis"
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("S3_SECRET_KEY", ""), ("ROOKERY_DEDUP", "memory"), ("ROOKERY_DEDUP", "sqlite:a")],
)  # fmt: skip
def test_what_is_no_secret_is_not(name, value):
    assert secrets_in({name: value}) == {}


# --- what libraries compute by, and what func.yaml gives away ------------------------------


def test_variables_that_libraries_compute_by_are_fixed():
    libraries = {
        "OMP_NUM_THREADS": "2", "TF_ENABLE_ONEDNN_OPTS": "0", "XLA_FLAGS": "--xla_dump_to=a",
        "CUDA_VISIBLE_DEVICES": "0", "NVIDIA_TF32_OVERRIDE": "0",
    }  # fmt: skip
    assert computing(libraries | {"TF_VAR_KEY": "x", "PORT": "1"}) == libraries


def test_what_is_fixed_leads_back_to_itself():
    fixed = {
        "function": "classify (1)", "model": "penguins/1 (2)",
        "ROOKERY_BACKEND": "fixed", "OMP_NUM_THREADS": "2",
    }  # fmt: skip
    assert variables(fixed) == {
        "ROOKERY_BACKEND": "fixed", "OMP_NUM_THREADS": "2", "ROOKERY_MODEL": "penguins/1",
    }  # fmt: skip


def test_a_password_in_func_yaml_is_looked_for_in_a_snapshot():
    folder = FunctionFolder("classify", Path(), {"DB_PASSWORD": "hunter2", "PORT": "1"})
    assert literal_secrets(folder) == {"DB_PASSWORD": "hunter2"}
