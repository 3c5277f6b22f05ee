import subprocess
import sys
from dataclasses import replace
from typing import get_args

import pytest

from rookery.backends.registry import backend_names, create_backend, import_library
from rookery.errors import BackendMissing, ModelInvalid
from rookery.settings import Settings


def test_an_unknown_backend_names_the_known_ones():
    with pytest.raises(BackendMissing, match=r"'torch'; choose fixed, .*opencv, openvino, t"):
        create_backend("torch")


@pytest.mark.parametrize("name", backend_names())
def test_a_backend_is_called_what_it_is_registered_as(name):
    assert create_backend(name).name == name


MISSING = [
    ("opencv", "cv2", r'pip install "rookery\[opencv\]"'),
    ("openvino", "openvino", r'pip install "rookery\[openvino\]"'),
    *(
        (name, "tensorflow", "pip install .*or choose ROOKERY_BACKEND=openvino")
        for name in ("tensorflow", "tensorflow-frozen", "tensorflow-xla")
    ),
]


@pytest.mark.parametrize(("name", "module", "advice"), MISSING)
def test_a_missing_library_says_how_to_install_it(  # noqa: PLR0913, PLR0917 - a table and fixtures
    name, module, advice, monkeypatch, tmp_path, card
):
    for file in ("saved_model.pb", "frozen.pb"):
        (tmp_path / file).touch()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BackendMissing, match=advice):
        create_backend(name).load(tmp_path, replace(card, other_formats=("frozen",)))
    with pytest.raises(BackendMissing, match=advice):
        import_library(name)


def test_the_setting_has_a_choice_for_each():
    choices = get_args(Settings.model_fields["backend"].annotation)
    assert set(choices) == {*backend_names(), "auto"}


def test_creating_every_backend_imports_no_library():
    code = (
        "import sys; from rookery.backends.registry import *;"
        "[create_backend(name) for name in backend_names()];"
        "sys.exit(bool({'tensorflow', 'keras', 'openvino', 'cv2'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_model_that_is_no_savedmodel_is_refused_before_the_library_is_imported(
    monkeypatch, tmp_path, card
):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ModelInvalid, match=r"holds no savedmodel: no saved_model\.pb is in it"):
        create_backend("openvino").load(tmp_path, card)
