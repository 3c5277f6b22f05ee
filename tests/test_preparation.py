import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from rookery import preparation
from rookery.backends.options import Options
from rookery.errors import BackendFailed, ImageTooLarge, ModelNotFound
from rookery.preparation import prepare, rehearse
from rookery.serving.gate import Gate


@pytest.fixture
def gate():
    return Gate(concurrency=1, queue=0)


@pytest.fixture
def prepared(settings, gate):
    return prepare(settings(), gate, s3=False)


@pytest.fixture
def sockets(monkeypatch):
    """Every socket that is made from now on."""
    made = []

    class Watched(socket.socket):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self)

    monkeypatch.setattr(socket, "socket", Watched)
    return made


def descriptors():
    return {path.name for path in Path("/proc/self/fd").iterdir()}


# --- preparing -----------------------------------------------------------------------------


def test_what_is_prepared_answers(prepared, jpeg):
    answer = prepared.warmed.classifier.classify(jpeg)
    assert answer.scores[0].label == "king penguin, Aptenodytes patagonica"
    assert prepared.preloaded is None


def test_the_settings_bound_what_it_takes(settings, gate, jpeg):
    bounded = prepare(settings(ROOKERY_MAX_PIXELS="100", ROOKERY_TOP_K="2"), gate, s3=False)
    assert bounded.warmed.classifier.top_k == 2
    with pytest.raises(ImageTooLarge):
        bounded.warmed.classifier.classify(jpeg)


def test_the_settings_say_how_a_backend_runs(settings, tmp_path):
    found = preparation.options(
        settings(
            ROOKERY_THREADS="3",
            ROOKERY_PERFORMANCE="throughput",
            ROOKERY_PIN_THREADS="true",
            ROOKERY_MODEL_CACHE=str(tmp_path),
        )
    )
    assert found == Options(threads=3, performance="throughput", pin=True, cache=tmp_path)


def test_without_a_setting_every_cpu_we_may_use_computes(settings, monkeypatch):
    monkeypatch.setattr(preparation, "usable_cpus", lambda: 7)
    found = preparation.options(settings())
    assert found.threads == 7
    assert found.cache == settings().home / "cache" / "models"


def test_compiled_models_need_not_be_kept(settings):
    assert preparation.options(settings(ROOKERY_MODEL_CACHE="off")).cache is None


def test_it_takes_turns_at_the_gate(prepared, gate):
    assert prepared.gate is gate
    assert prepared.warmed.classifier.turn == gate.turn


def test_a_model_that_is_missing_is_an_error(settings, gate):
    with pytest.raises(ModelNotFound, match="dodo"):
        prepare(settings(ROOKERY_MODEL="dodo"), gate, s3=False)


def test_what_connecting_needs_is_imported_before_and_nothing_is_opened(settings, gate, sockets):
    everything = settings(
        ROOKERY_DEDUP="redis://:hush@127.0.0.1:1", S3_ENABLED="true", S3_BUCKET_NAME="images"
    )
    before = descriptors()
    assert prepare(everything, gate, s3=True).preloaded is not None
    # What an earlier test has left behind may be closed meanwhile.
    assert (sockets, descriptors() - before) == ([], set())


# --- rehearsing ----------------------------------------------------------------------------


def test_a_rehearsal_goes_through_the_whole_application(settings, prepared):
    batches = []

    def model(batch):
        batches.append(batch.shape)
        return prepared.warmed.classifier.model(batch)

    rehearse("classify", settings(), with_model(prepared, model))
    assert batches == [(1, 8, 8, 3)] * 2


def with_model(prepared, model):
    classifier = replace(prepared.warmed.classifier, model=model)
    return replace(prepared, warmed=replace(prepared.warmed, classifier=classifier))


EVERYTHING = {
    "K_SINK": "http://127.0.0.1:1",
    "ROOKERY_ON_POISON": "ack-and-deadletter",
    "S3_ENABLED": "true",
    "S3_BUCKET_NAME": "images",
    "S3_ENDPOINT_URL": "http://127.0.0.1:1",
    "S3_ACCESS_KEY_FILE": "/no/such/file",
    "S3_SECRET_KEY_FILE": "/no/such/file",
    "ROOKERY_RESULTS_BUCKET": "results",
    "ROOKERY_SINK_TOKEN_FILE": "/no/such/file",
    "ROOKERY_INGRESS_TOKEN_FILE": "/no/such/file",
}


def test_it_opens_no_socket_and_touches_no_credential(settings, prepared, sockets):
    before = descriptors()
    rehearse("classify", settings(**EVERYTHING), prepared)
    assert (sockets, descriptors() - before) == ([], set())


@pytest.mark.parametrize("window", ["sqlite:{}/dedup.db", "redis://:hush@127.0.0.1:1"])
def test_it_opens_no_dedup_window(settings, prepared, sockets, tmp_path, window):
    rehearse("classify", settings(ROOKERY_DEDUP=window.format(tmp_path)), prepared)
    assert (sockets, list(tmp_path.iterdir())) == ([], [])


def test_it_leaves_no_thread(settings, prepared, wait_until):
    before = {*threading.enumerate()}
    rehearse("classify", settings(), prepared)
    wait_until(lambda: {*threading.enumerate()} <= before, "the rehearsal's thread to end")


@pytest.mark.parametrize(
    "strict",
    [
        {"ROOKERY_MAX_BODY_BYTES": "10"},
        {"ROOKERY_MAX_PIXELS": "10"},
        {"ROOKERY_FORMATS": "PNG"},
        {"ROOKERY_STARTUP_SECONDS": "0"},
        {"ROOKERY_CONCURRENCY": "1", "ROOKERY_QUEUE": "0"},
        {"ROOKERY_DATA_DIR": "/no/such/folder"},
    ],
    ids=lambda strict: next(iter(strict)),
)
def test_settings_that_are_meant_for_strangers_do_not_hinder_it(settings, gate, strict):
    read = settings(**strict)
    rehearse("classify", read, prepare(read, gate, s3=False))


def test_the_gate_is_as_free_afterwards_as_before(settings, prepared, gate):
    rehearse("classify", settings(), prepared)
    with gate.admit():
        pass


def failing(batch):
    raise BackendFailed(f"the library cannot compute {batch.shape}")


def test_a_model_that_fails_is_a_failed_rehearsal(settings, prepared):
    with pytest.raises(BackendFailed, match=r"is answered 500 .*: .*the library cannot compute"):
        rehearse("classify", settings(), with_model(prepared, failing))


def test_a_failed_rehearsal_is_closed_as_well(settings, prepared, monkeypatch):
    closed = []

    class Startup(preparation.Startup):
        def close(self):
            closed.append(self.state)
            super().close()

    monkeypatch.setattr(preparation, "Startup", Startup)
    with pytest.raises(BackendFailed):
        rehearse("classify", settings(), with_model(prepared, failing))
    assert closed == ["ready"]
