"""A function to a graph of constants."""

import numpy as np
import pytest

from rookery.backends.freezing import freeze
from rookery.backends.frozen_graph import run_graph
from rookery.errors import ModelInvalid

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]

SHAPE = (None, 4, 4, 3)


@pytest.fixture(scope="module")
def tf():
    from rookery.backends.savedmodel import import_tensorflow

    return import_tensorflow()


def test_variables_become_constants_under_the_names_that_were_asked_for(tf):
    gain = tf.Variable([1.0, 2.0, 3.0])
    graph = freeze(lambda image: tf.reduce_mean(image, [1, 2]) * gain, SHAPE, "net/scores")
    assert [node.name for node in graph.node if node.op == "Placeholder"] == ["image"]
    gain.assign([0.0, 0.0, 0.0])
    model = run_graph(graph, "net/scores", "here")
    found = model(np.ones((2, 4, 4, 3), np.float32))["net/scores"]
    np.testing.assert_allclose(found, [[1, 2, 3], [1, 2, 3]])


def test_what_does_not_lead_to_the_output_is_left_out(tf):
    def call(image):
        tf.debugging.assert_greater(image, -1.0)
        tf.math.tanh(image, name="unused")
        return tf.reduce_mean(image, [1, 2])

    graph = freeze(call, SHAPE, "scores")
    assert {node.op for node in graph.node} == {"Placeholder", "Const", "Mean", "Identity"}


def table(tf):
    values = tf.lookup.KeyValueTensorInitializer([0], [1.0], tf.int64, tf.float32)
    found = tf.lookup.StaticHashTable(values, 0.0)
    return lambda image: tf.reduce_mean(image, [1, 2]) * found.lookup(tf.zeros((1, 3), tf.int64))


def failing(tf):
    def call(image):
        return tf.reshape(image, (-1, 7)) + tf.zeros((1, 8))

    return call


@pytest.mark.parametrize(
    ("make", "output", "message"),
    [
        (table, "scores", "cannot freeze the model"),
        (failing, "scores", "cannot freeze the model"),
        (lambda tf: tf.identity, "image", "its output is called 'image', too"),
        (lambda tf: tf.identity, "no name", "cannot freeze the model"),
    ],
    ids=["table", "failing", "same name", "no name"],
)
def test_what_cannot_be_frozen_says_why(tf, make, output, message):
    with pytest.raises(ModelInvalid, match=message):
        freeze(make(tf), SHAPE, output)
