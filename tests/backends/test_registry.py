import subprocess
import sys

import pytest

from rookery.backends.registry import backend_names, create_backend
from rookery.errors import BackendMissing, ModelInvalid


def test_an_unknown_backend_names_the_known_ones():
    with pytest.raises(BackendMissing, match="'torch'; choose fixed, openvino, tensorflow"):
        create_backend("torch")


@pytest.mark.parametrize("name", backend_names())
def test_a_backend_is_called_what_it_is_registered_as(name):
    assert create_backend(name).name == name


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("openvino", r'pip install "rookery\[openvino\]"'),
        ("tensorflow", "pip install .*or choose ROOKERY_BACKEND=openvino"),
    ],
)
def test_a_missing_library_says_how_to_install_it(name, advice, monkeypatch, tmp_path, card):
    (tmp_path / "saved_model.pb").touch()
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendMissing, match=advice):
        create_backend(name).load(tmp_path, card)


def test_creating_every_backend_imports_no_library():
    code = (
        "import sys; from rookery.backends.registry import *;"
        "[create_backend(name) for name in backend_names()];"
        "sys.exit(bool({'tensorflow', 'keras', 'openvino'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_model_that_is_no_savedmodel_is_refused_before_the_library_is_imported(
    monkeypatch, tmp_path, card
):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ModelInvalid, match="holds no SavedModel"):
        create_backend("openvino").load(tmp_path, card)
