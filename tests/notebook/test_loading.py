from pathlib import Path

import numpy as np
import pytest

from rookery import load_model
from rookery.backends.fixed import FixedBackend
from rookery.errors import BackendMissing, ImageTooLarge, ModelNotFound, SettingsInvalid
from rookery.models.repository import Repository
from rookery.notebook import loading


@pytest.fixture
def asked(monkeypatch):
    """What backends are asked for, by name, and with which options."""
    wanted = []

    def create(name, options):
        wanted.append((name, options))
        return FixedBackend()

    monkeypatch.setattr(loading, "create_backend", create)
    return wanted


@pytest.mark.parametrize("name", ["penguins", "penguins/1"])
def test_a_model_is_loaded_by_its_name(fixed_home, name):
    assert load_model(name, backend="fixed", home=str(fixed_home)).card.version == 1


def test_the_home_is_the_environments(monkeypatch, fixed_home):
    monkeypatch.setenv("ROOKERY_HOME", str(fixed_home))
    assert load_model("penguins", backend="fixed").card.name == "penguins"


@pytest.mark.parametrize(("argument", "chosen"), [("openvino", "openvino"), (None, "tensorflow")])
def test_the_backend_is_the_callers_or_the_environments(
    monkeypatch, fixed_home, asked, argument, chosen
):
    monkeypatch.setenv("ROOKERY_BACKEND", "tensorflow")
    load_model("penguins", backend=argument, home=fixed_home)
    assert [name for name, _ in asked] == [chosen]


@pytest.mark.parametrize(("threads", "wanted"), [(3, 3), (1, 1), (None, 7)])
def test_the_backend_hears_how_many_threads(monkeypatch, fixed_home, asked, threads, wanted):
    monkeypatch.setattr(loading, "usable_cpus", lambda: 7)
    load_model("penguins", backend="fixed", threads=threads, home=fixed_home)
    ((_, options),) = asked
    assert options.threads == wanted


@pytest.mark.parametrize("threads", [0, -1])
def test_less_than_one_thread_is_refused(fixed_home, threads):
    with pytest.raises(ValueError, match=f"threads is {threads}; it must be at least 1"):
        load_model("penguins", backend="fixed", threads=threads, home=fixed_home)


@pytest.mark.parametrize(
    ("setting", "place"),
    [("", "{home}/cache/models"), ("/srv/compiled", "/srv/compiled"), ("off", None)],
)
def test_compiled_models_are_kept_where_a_functions_are(
    monkeypatch, fixed_home, asked, setting, place
):
    monkeypatch.setenv("ROOKERY_MODEL_CACHE", setting)
    load_model("penguins", backend="fixed", home=fixed_home)
    ((_, options),) = asked
    assert options.cache == (place and Path(place.format(home=fixed_home)))


def test_without_a_choice_the_fastest_backend_is_taken(monkeypatch, fixed_home, asked):
    monkeypatch.delenv("ROOKERY_BACKEND", raising=False)
    monkeypatch.setattr(loading, "choose_fastest", lambda version, home, options: "abacus")  # noqa: ARG005
    load_model("penguins", home=fixed_home)
    assert [name for name, _ in asked] == ["abacus"]


def test_an_unknown_backend_is_refused(fixed_home):
    with pytest.raises(BackendMissing, match="no backend 'abacus'"):
        load_model("penguins", backend="abacus", home=fixed_home)


def test_a_model_of_the_zoo_that_needs_no_download_is_made(tmp_path):
    model = load_model("fixed", backend="fixed", home=tmp_path)
    assert model.card.classes == 1000
    assert Repository(tmp_path / "models").references() == ("fixed/1",)


@pytest.mark.parametrize("name", ["resnet50", "nobodys", "efficientnet-lite0/7", "../x"])
def test_any_other_model_is_not_made(tmp_path, name):
    with pytest.raises(ModelNotFound):
        load_model(name, backend="fixed", home=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_model_to_download_is_an_error_that_says_how(tmp_path):
    with pytest.raises(ModelNotFound, match="rookery models pull resnet50"):
        load_model("resnet50", backend="fixed", home=tmp_path)


def test_a_picture_that_would_fill_the_memory_is_refused(model):
    png = bytes.fromhex("89504e470d0a1a0a0000000d494844520001000000010000080200000000000000")
    with pytest.raises(ImageTooLarge):
        model(png)


def test_how_large_a_picture_may_be_is_the_environments(monkeypatch, fixed_home):
    monkeypatch.setenv("ROOKERY_MAX_PIXELS", "12")
    model = load_model("penguins", backend="fixed", home=fixed_home)
    assert model(np.zeros((3, 4), np.uint8)).label
    with pytest.raises(ImageTooLarge, match=r"the limit is 12;.* raise ROOKERY_MAX_PIXELS"):
        model(np.zeros((3, 5), np.uint8))


def test_a_setting_that_it_reads_must_be_right(monkeypatch, fixed_home):
    monkeypatch.setenv("ROOKERY_MAX_PIXELS", "many")
    with pytest.raises(SettingsInvalid, match=r"ROOKERY_MAX_PIXELS: .*'many'"):
        load_model("penguins", backend="fixed", home=fixed_home)


def test_what_only_a_function_needs_may_be_wrong(monkeypatch, fixed_home):
    monkeypatch.setenv("PORT", "none")
    monkeypatch.setenv("S3_ENABLED", "true")
    assert load_model("penguins", backend="fixed", home=fixed_home).card.name == "penguins"
