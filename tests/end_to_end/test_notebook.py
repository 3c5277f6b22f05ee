"""The code of docs/python.md and the notebook beside it, run by a real Jupyter kernel."""

import re
import shutil

import nbformat
import pytest
from nbclient import NotebookClient

from whole_system import PHOTOGRAPH, ROOT, home_with

GUIDE = ROOT / "docs" / "python.md"
NOTEBOOK = ROOT / "docs" / "python.ipynb"


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.fixture
def run(models, tmp_path, monkeypatch):
    """Run a notebook in a folder of a tree like this repository; return it with its outputs."""
    pictures = PHOTOGRAPH.parent
    shutil.copytree(pictures, tmp_path / pictures.relative_to(ROOT))
    (tmp_path / "docs").mkdir()
    monkeypatch.setenv("ROOKERY_HOME", str(home_with(models, tmp_path)))
    monkeypatch.setenv("ROOKERY_BACKEND", "openvino")
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))

    def execute(notebook, folder):
        there = {"metadata": {"path": str(tmp_path / folder)}}
        return NotebookClient(notebook, timeout=120, resources=there).execute()

    return execute


def test_the_guides_code_runs(run, tmp_path):
    code = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    cells = [nbformat.v4.new_code_cell(block) for block in code]
    ran = run(nbformat.v4.new_notebook(cells=cells), folder=".")
    printed = "".join(output.text for output in outputs(ran) if output.output_type == "stream")
    assert "military uniform 652 0.4" in printed
    assert "test1.jpg: military uniform 4" in printed
    assert (tmp_path / "prediction.png").stat().st_size > 10_000


def test_the_notebook_shows_the_prediction_and_plots_it_once(run):
    ran = run(nbformat.read(NOTEBOOK, as_version=4), folder="docs")
    (shown,) = (output for output in outputs(ran) if "text/html" in output.get("data", {}))
    assert "military uniform" in shown.data["text/html"]
    assert shown.data["text/plain"].startswith("military uniform ")
    assert sum("image/png" in output.get("data", {}) for output in outputs(ran)) == 1


def test_the_committed_notebook_has_no_outputs():
    assert outputs(nbformat.read(NOTEBOOK, as_version=4)) == []
