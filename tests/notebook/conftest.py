"""A model that is called like a function and computes nothing."""

import pytest

from rookery.notebook.loading import load_model


@pytest.fixture(scope="session")
def model(fixed_home):
    return load_model("penguins", backend="fixed", home=fixed_home)
