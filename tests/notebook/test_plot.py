import sys

import pytest

from rookery.errors import BackendMissing

pytestmark = pytest.mark.xdist_group("plot")  # one worker imports pyplot


@pytest.fixture
def plt(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    from matplotlib import pyplot as plt

    yield plt
    plt.close("all")


@pytest.mark.usefixtures("plt")
def test_bars_show_the_best_classes_beside_the_picture(model, jpeg):
    bars = model(jpeg).plot(3)
    assert [label.get_text() for label in bars.get_yticklabels()] == [
        "king penguin, Aptenodytes patagonica", "macaw", "grey owl",
    ]  # fmt: skip
    assert [bar.get_width() for bar in bars.patches] == pytest.approx(
        [64 / 127, 32 / 127, 16 / 127]
    )
    picture, _ = bars.figure.axes
    assert picture.get_images()[0].get_size() == (8, 8)
    assert picture.get_aspect() == pytest.approx(48 / 64)


def test_the_figure_is_pyplots_so_that_a_notebook_shows_it(plt, model, jpeg):
    assert model(jpeg).plot().figure is plt.gcf()


@pytest.mark.usefixtures("plt")
def test_a_label_is_shortened_and_is_no_formula(model, jpeg):
    prediction = model(jpeg)
    first = prediction.classification.scores[0]
    object.__setattr__(first, "label", "$x^2$" + "y" * 100)
    bars = prediction.plot(1)
    bars.figure.savefig("/dev/null", format="png")
    (label,) = bars.get_yticklabels()
    assert label.get_text() == r"\$x^2\$" + "y" * 34 + "…"


def test_without_matplotlib_it_says_what_to_install(monkeypatch, model, jpeg):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BackendMissing, match=r'pip install "rookery\[notebook\]"'):
        model(jpeg).plot()
