"""Intel's extension sees the same on real photographs as the TensorFlow below it, and as ours."""

import numpy as np
import pytest

from itex_environment import usable_itex, without_plugin
from rookery.backends.options import Options
from rookery.backends.trial import run_trial
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize

pytestmark = pytest.mark.end_to_end

# Sums in another order, as between our own backends.
TOLERANCE = 1e-4
DAISY = 985


@pytest.fixture(scope="module")
def answers(pulled_repository, photographs, tmp_path_factory):
    """Probabilities, (photographs, classes), with the extension, without it, and of ours."""
    python = usable_itex()
    plain = without_plugin(python, tmp_path_factory.mktemp("plain"))
    version = pulled_repository.find("efficientnet-lite0")
    batch = np.stack(
        [
            normalize(decode(data, version.card.input, ImageLimits()).pixels, version.card.input)
            for data in photographs.values()
        ]
    )

    def scores(backend, **where):
        return run_trial(version, backend, batch, Options(), calls=1, **where).scores

    return {
        "with it": scores("itex", python=python),
        "without it": scores("tensorflow", python=python, environ=plain),
        "ours": scores("tensorflow"),
    }


@pytest.mark.parametrize("other", ["without it", "ours"])
def test_the_five_best_are_the_same_in_the_same_order(other, answers):
    best = {name: np.argsort(-scores, axis=1)[:, :5] for name, scores in answers.items()}
    np.testing.assert_array_equal(best["with it"], best[other])


@pytest.mark.parametrize("other", ["without it", "ours"])
def test_probabilities_differ_by_rounding_only(other, answers):
    assert np.abs(answers["with it"] - answers[other]).max() <= TOLERANCE


def test_the_flower_is_a_daisy(answers, photographs):
    assert answers["with it"][list(photographs).index("flower")].argmax() == DAISY
