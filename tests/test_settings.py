import ast
import inspect
import itertools
import re
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from rookery import settings as settings_module
from rookery.errors import SettingsInvalid
from rookery.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

CERTIFICATE = trustme.CA().cert_pem.bytes().decode()

# variable -> (field, a value that is not the default, how the field holds it)
VARIABLES = {
    "ROOKERY_HOME": ("home", "/srv/rookery", Path("/srv/rookery")),
    "ROOKERY_MODEL": ("model", "resnet50/2", "resnet50/2"),
    "ROOKERY_BACKEND": ("backend", "openvino", "openvino"),
    "ROOKERY_THREADS": ("threads", "2", 2),
    "ROOKERY_PERFORMANCE": ("performance", "throughput", "throughput"),
    "ROOKERY_PIN_THREADS": ("pin_threads", "true", True),
    "ROOKERY_MODEL_CACHE": ("model_cache", "/srv/compiled", Path("/srv/compiled")),
    "ROOKERY_TOP_K": ("top_k", "10", 10),
    "ROOKERY_INGRESS_TOKEN": ("ingress_token", "open-sesame", "**********"),
    "ROOKERY_INGRESS_TOKEN_FILE": ("ingress_token_file", "/run/token", Path("/run/token")),
    "ROOKERY_SINK_TOKEN": ("sink_token", "open-sesame", "**********"),
    "ROOKERY_SINK_TOKEN_FILE": ("sink_token_file", "/run/token", Path("/run/token")),
    "K_CA_CERTS": ("ca_certs", CERTIFICATE, CERTIFICATE),
    "ROOKERY_HEADER_SECONDS": ("header_seconds", "0.5", 0.5),
    "ROOKERY_BODY_SECONDS": ("body_seconds", "0.5", 0.5),
    "ROOKERY_MAX_CONNECTIONS": ("max_connections", "20", 20),
    "ROOKERY_HOST": ("host", "127.0.0.1", "127.0.0.1"),
    "PORT": ("port", "9000", 9000),
    "ROOKERY_CONCURRENCY": ("concurrency", "4", 4),
    "ROOKERY_QUEUE": ("queue", "0", 0),
    "ROOKERY_DRAIN_SECONDS": ("drain_seconds", "0.5", 0.5),
    "ROOKERY_STARTUP_SECONDS": ("startup_seconds", "0", 0.0),
    "ROOKERY_DATA_DIR": ("data_dir", "data", Path("data")),
    "ROOKERY_DEFAULT_IMAGE": ("default_image", "test2", "test2"),
    "ROOKERY_MAX_BODY_BYTES": ("max_body_bytes", "1000", 1000),
    "ROOKERY_MAX_PIXELS": ("max_pixels", "1000", 1000),
    "ROOKERY_FORMATS": ("formats", "jpeg, png,", ("JPEG", "PNG")),
    "ROOKERY_MAX_RECORDS": ("max_records", "1", 1),
    "K_SINK": ("sink", "http://broker/default", "http://broker/default"),
    "K_CE_OVERRIDES": ("ce_overrides", '{"extensions":{}}', '{"extensions":{}}'),
    "ROOKERY_ON_POISON": ("on_poison", "ack-and-deadletter", "ack-and-deadletter"),
    "ROOKERY_DEDUP": ("dedup", "redis://:hush@redis:6379/1", "**********"),
    "ROOKERY_DEDUP_PASSWORD_FILE": ("dedup_password_file", "/run/redis", Path("/run/redis")),
    "ROOKERY_DEDUP_SECONDS": ("dedup_seconds", "0", 0.0),
    "ROOKERY_DEDUP_ENTRIES": ("dedup_entries", "1", 1),
    "S3_ENABLED": ("s3_enabled", "true", True),
    "S3_ACCESS_KEY": ("s3_access_key", "AKIA", "**********"),
    "S3_SECRET_KEY": ("s3_secret_key", "hush", "**********"),
    "S3_ACCESS_KEY_FILE": ("s3_access_key_file", "/run/key", Path("/run/key")),
    "S3_SECRET_KEY_FILE": ("s3_secret_key_file", "/run/secret", Path("/run/secret")),
    "S3_CA_FILE": ("s3_ca_file", "/run/ca.pem", Path("/run/ca.pem")),
    "S3_ENDPOINT_URL": ("s3_endpoint_url", "http://s3:9000", "http://s3:9000/"),
    "S3_BUCKET_NAME": ("s3_buckets", "images, photos", ("images", "photos")),
    "S3_AWS_REGION": ("s3_region", "eu-north-1", "eu-north-1"),
    "S3_EVENT_NAME": ("s3_event_name", "ObjectCreated:Put", "ObjectCreated:Put"),
    "ROOKERY_SNAPSHOT": ("snapshot", "sentinel", "sentinel"),
    "ROOKERY_HOOK_SECONDS": ("hook_seconds", "2.5", 2.5),
    "SNAPSHOT_CONTROL_DIR": ("snapshot_control_dir", "/control", Path("/control")),
    "ROOKERY_CRIU": ("criu", "/opt/criu", Path("/opt/criu")),
    "ROOKERY_RESULTS_BUCKET": ("results_bucket", "results", "results"),
    "ROOKERY_RESULTS_PREFIX": ("results_prefix", "kept/by/us/", "kept/by/us/"),
}
# What a variable needs beside it to be accepted.
COMPANIONS = {
    "S3_ENABLED": {"S3_BUCKET_NAME": "images"},
    "S3_ACCESS_KEY": {"S3_SECRET_KEY": "hush"},
    "S3_SECRET_KEY": {"S3_ACCESS_KEY": "AKIA"},
    "S3_ACCESS_KEY_FILE": {"S3_SECRET_KEY_FILE": "/run/secret"},
    "S3_SECRET_KEY_FILE": {"S3_ACCESS_KEY_FILE": "/run/key"},
    "ROOKERY_ON_POISON": {"K_SINK": "http://broker"},
}


@pytest.fixture(autouse=True)
def nobodys_settings(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def read(monkeypatch):
    """Read the settings from an environment of nothing else."""

    def with_environment(**environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return Settings.read()

    return with_environment


def problems(read, **environ):
    with pytest.raises(SettingsInvalid) as raised:
        read(**environ)
    return raised.value.problems


def test_this_test_names_every_setting():
    aliases = {field: name for name, (field, _, _) in VARIABLES.items()}
    assert aliases == {
        field: info.validation_alias.choices[0] for field, info in Settings.model_fields.items()
    }


def test_without_an_environment_every_setting_has_a_default(read):
    settings = read()
    assert settings.backend == "tensorflow"
    assert settings.port == 8080
    assert settings.max_body_bytes == 32 * 2**20
    assert settings.s3_enabled is False


@pytest.mark.parametrize("name", VARIABLES)
def test_every_setting_is_read_from_its_variable(read, name):
    field, text, value = VARIABLES[name]
    default = getattr(read(), field)
    found = getattr(read(**{name: text, **COMPANIONS.get(name, {})}), field)
    assert found != default
    assert found == value or str(found) == value


@pytest.mark.parametrize("name", VARIABLES)
def test_an_empty_variable_is_an_unset_one(read, name):
    assert read(**{name: ""}) == Settings()


def test_a_field_is_not_read_from_a_variable_of_its_own_name(read):
    assert read(MODEL="other", HOME_DIR="x", BACKEND="nonsense") == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROOKERY_BACKEND", "torch"),
        ("ROOKERY_TOP_K", "0"),
        ("ROOKERY_TOP_K", "five"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "80.5"),
        ("ROOKERY_CONCURRENCY", "0"),
        ("ROOKERY_QUEUE", "-1"),
        ("ROOKERY_DRAIN_SECONDS", "0"),
        ("ROOKERY_DRAIN_SECONDS", "inf"),
        ("ROOKERY_DRAIN_SECONDS", "nan"),
        ("ROOKERY_STARTUP_SECONDS", "-1"),
        ("ROOKERY_STARTUP_SECONDS", "inf"),
        ("ROOKERY_STARTUP_SECONDS", "1e300"),
        ("ROOKERY_STARTUP_SECONDS", "nan"),
        ("ROOKERY_DEDUP_SECONDS", "inf"),
        ("ROOKERY_DEDUP_SECONDS", "nan"),
        ("ROOKERY_MAX_BODY_BYTES", "0"),
        ("ROOKERY_MAX_BODY_BYTES", "32MiB"),
        ("ROOKERY_FORMATS", "JPEG,TIFF"),
        ("ROOKERY_FORMATS", ","),
        ("K_SINK", "broker"),
        ("K_SINK", "ftp://broker"),
        ("ROOKERY_ON_POISON", "ignore"),
        ("S3_ENABLED", "maybe"),
        ("S3_ENDPOINT_URL", "s3.example"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_and_shown(read, name, value):
    (problem,) = problems(read, **{name: value})
    assert problem.startswith(name)
    assert value.strip(",").split(",")[-1] in problem


def test_all_problems_are_listed_together(read):
    found = problems(read, PORT="x", ROOKERY_BACKEND="torch", ROOKERY_QUEUE="-1")
    assert sorted(problem.partition(":")[0] for problem in found) == [
        "PORT",
        "ROOKERY_BACKEND",
        "ROOKERY_QUEUE",
    ]


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"S3_ENABLED": "true"}, "S3_BUCKET_NAME"),
        ({"S3_ENABLED": "true", "S3_BUCKET_NAME": " , "}, "S3_BUCKET_NAME"),
        ({"S3_ACCESS_KEY": "a"}, "S3_SECRET_KEY"),
        ({"S3_SECRET_KEY": "s"}, "S3_ACCESS_KEY"),
        ({"ROOKERY_ON_POISON": "ack-and-deadletter"}, "K_SINK"),
        ({"S3_ACCESS_KEY_FILE": "a"}, "S3_SECRET_KEY_FILE"),
        (
            {"ROOKERY_INGRESS_TOKEN": "a", "ROOKERY_INGRESS_TOKEN_FILE": "b"},
            "ROOKERY_INGRESS_TOKEN_FILE",
        ),
        ({"ROOKERY_SINK_TOKEN": "a", "ROOKERY_SINK_TOKEN_FILE": "b"}, "ROOKERY_SINK_TOKEN_FILE"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(read, environ, named):
    (problem,) = problems(read, **environ)
    assert named in problem


def test_all_contradictions_are_listed_together(read):
    assert (
        len(
            problems(
                read, S3_ENABLED="1", S3_ACCESS_KEY="a", ROOKERY_ON_POISON="ack-and-deadletter"
            )
        )
        == 3
    )


def test_contradictions_are_listed_beside_single_values_that_are_wrong(read):
    found = problems(read, PORT="x", S3_ENABLED="1", S3_ACCESS_KEY="a")
    assert sorted(problem.partition(":")[0] for problem in found) == [
        "PORT",
        "S3_ACCESS_KEY and S3_SECRET_KEY",
        "S3_BUCKET_NAME",
    ]


def test_a_value_that_is_wrong_contradicts_nothing(read):
    (problem,) = problems(read, K_SINK="ftp://broker", ROOKERY_ON_POISON="ack-and-deadletter")
    assert problem.startswith("K_SINK: URL scheme")


@pytest.mark.parametrize("value", ["{", '{"extensions": {"ID": "sesame"}}', '{"extensions": 1}'])
def test_overrides_that_cannot_be_used_are_refused_here_and_not_shown(read, value):
    first, second = problems(read, K_CE_OVERRIDES=value, PORT="x")
    assert "K_CE_OVERRIDES" in first + second
    assert "sesame" not in first + second


def test_the_query_of_a_url_is_not_shown(read):
    (problem,) = problems(read, K_SINK="ftp://broker/?token=sesame")
    assert "ftp://broker/" in problem
    assert "sesame" not in problem


def test_a_long_value_is_shown_in_part(read):
    (problem,) = problems(read, ROOKERY_TOP_K="9" * 5000)
    assert len(problem) < 300


@pytest.mark.parametrize("show", [repr, str, lambda settings: settings.model_dump_json()])
def test_secrets_are_not_shown(read, show):
    shown = show(read(S3_ACCESS_KEY="AKIA-open-sesame", S3_SECRET_KEY="open-sesame"))
    assert "sesame" not in shown


@pytest.mark.parametrize("name", ["ROOKERY_INGRESS_TOKEN", "ROOKERY_SINK_TOKEN", "K_CA_CERTS"])
def test_what_is_no_token_or_certificate_is_refused_and_not_shown(read, name):
    (problem,) = problems(read, **{name: "open sesame"})
    assert problem.startswith(f"{name}: ")
    assert "sesame" not in problem


@pytest.mark.parametrize("name", ["S3_ACCESS_KEY", "S3_SECRET_KEY"])
def test_secrets_are_not_part_of_a_complaint(read, name):
    with pytest.raises(SettingsInvalid) as raised:
        read(**{name: "open-sesame", "PORT": "x"})
    assert "sesame" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize("show", [repr, str, lambda settings: settings.model_dump_json()])
def test_the_password_of_the_dedup_window_is_not_shown(read, show):
    assert "sesame" not in show(read(ROOKERY_DEDUP="redis://:sesame@host"))


@pytest.mark.parametrize(
    "place", ["redis:sesame", "redis:///?password=sesame\n", "sqlite:", "postgres://me:sesame@host"]
)
def test_a_dedup_window_that_is_none_is_refused_and_not_shown(read, place):
    (problem,) = problems(read, ROOKERY_DEDUP=place)
    assert problem.startswith("ROOKERY_DEDUP")
    assert "sqlite:PATH" in problem
    assert "sesame" not in problem


@pytest.mark.parametrize("name", ["K_SINK", "S3_ENDPOINT_URL"])
@pytest.mark.parametrize("url", ["http://me:sesame@host", "http://me:sesame@host:99999999"])
def test_a_password_in_a_url_is_refused_and_not_shown(read, name, url):
    (problem,) = problems(read, **{name: url})
    assert problem.startswith(name)
    assert "sesame" not in problem


def test_the_secret_itself_can_be_had_by_who_needs_it(read):
    settings = read(S3_ACCESS_KEY="a", S3_SECRET_KEY="hush")
    assert settings.s3_secret_key.get_secret_value() == "hush"


@pytest.fixture
def read_only(monkeypatch):
    def read_only(environ, *variables):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return Settings.read_only(*variables)

    return read_only


def test_a_part_is_read_whatever_is_wrong_with_the_others(read_only):
    settings = read_only({"ROOKERY_HOME": "h", "PORT": "x", "S3_ENABLED": "true"}, "ROOKERY_HOME")
    assert (settings.home, settings.port, settings.s3_enabled) == (Path("h"), 8080, False)


def test_a_part_must_be_right_itself(read_only):
    wrong = {"PORT": "x", "ROOKERY_TOP_K": "0", "ROOKERY_QUEUE": "x"}
    with pytest.raises(SettingsInvalid) as raised:
        read_only(wrong, "PORT", "ROOKERY_TOP_K")
    assert [said.partition(":")[0] for said in raised.value.problems] == ["ROOKERY_TOP_K", "PORT"]


def test_settings_do_not_change(read):
    with pytest.raises(ValueError, match="frozen"):
        read().port = 1


# --- docs/settings.md ----------------------------------------------------------------------


def documented():
    """The rows of the page: variable to (default, description)."""
    row = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", re.MULTILINE)
    return {name: (default, text) for name, default, text in row.findall(PAGE.read_text())}


def docstrings():
    """What settings.py says below each field: variable to description."""
    tree = ast.parse(inspect.getsource(settings_module))
    (body,) = (node.body for node in tree.body if getattr(node, "name", "") == "Settings")
    fields = {field: name for name, (field, _, _) in VARIABLES.items()}
    return {
        fields[node.target.id]: inspect.cleandoc(below.value.value)
        for node, below in itertools.pairwise(body)
        if isinstance(node, ast.AnnAssign) and node.target.id in fields
    }


def shown(default):
    """A default as the page writes it: as one would set it."""
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default in (None, "", ()):
        return "unset"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{','.join(default)}`" if isinstance(default, tuple) else f"`{default}`"


def test_the_page_lists_exactly_the_settings():
    assert set(documented()) == set(VARIABLES)


@pytest.mark.parametrize("name", VARIABLES)
def test_the_page_gives_the_default(name):
    field, _, _ = VARIABLES[name]
    assert documented()[name][0] == shown(Settings.model_fields[field].default)


@pytest.mark.parametrize("name", VARIABLES)
def test_the_page_says_what_the_code_says(name):
    assert documented()[name][1] == " ".join(docstrings()[name].split())


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("kept", "kept/"), ("kept/", "kept/"), ("/kept//", "kept/"), ("a/b", "a/b/"), ("/", "")],
)
def test_the_prefix_of_results_is_a_folder_or_nothing(read, text, prefix):
    assert read(ROOKERY_RESULTS_PREFIX=text).results_prefix == prefix


def test_results_may_lie_in_the_bucket_of_the_images_below_a_prefix(read):
    buckets = {"S3_BUCKET_NAME": "a,b", "ROOKERY_RESULTS_BUCKET": "b"}
    assert read(**buckets).results_prefix == "results/"
    (problem,) = problems(read, **buckets, ROOKERY_RESULTS_PREFIX="/")
    assert problem.startswith("ROOKERY_RESULTS_PREFIX")


def test_a_bucket_of_results_alone_needs_no_prefix(read):
    settings = read(
        S3_BUCKET_NAME="images", ROOKERY_RESULTS_BUCKET="results", ROOKERY_RESULTS_PREFIX="/"
    )
    assert settings.results_prefix == ""


def test_a_prefix_of_results_that_leaves_no_room_for_keys_is_refused(read):
    (problem,) = problems(read, ROOKERY_RESULTS_PREFIX="é" * 129)
    assert "256 bytes" in problem
