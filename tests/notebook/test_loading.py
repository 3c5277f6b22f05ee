import pytest

from rookery import load_model
from rookery.backends.fixed import FixedBackend
from rookery.backends.options import Options
from rookery.cpus import usable_cpus
from rookery.errors import BackendMissing, ImageTooLarge, ModelNotFound
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


@pytest.mark.parametrize(("threads", "wanted"), [(3, 3), (None, usable_cpus())])
def test_the_backend_hears_how_many_threads(fixed_home, asked, threads, wanted):
    load_model("penguins", backend="fixed", threads=threads, home=fixed_home)
    ((_, options),) = asked
    assert options == Options(threads=wanted, cache=fixed_home / "cache" / "models")


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
