import pytest

from rookery.client_settings import read_client
from rookery.errors import SettingsInvalid


@pytest.fixture(autouse=True)
def nobodys_tokens(monkeypatch):
    for name in ("ROOKERY_SINK_TOKEN", "ROOKERY_INGRESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    monkeypatch.delenv("K_CA_CERTS", raising=False)


def test_without_settings_a_command_shows_nothing():
    assert read_client().headers() == {}


def test_a_command_shows_what_is_sent_with_events(monkeypatch):
    monkeypatch.setenv("ROOKERY_SINK_TOKEN", "sent")
    monkeypatch.setenv("ROOKERY_INGRESS_TOKEN", "accepted")
    assert read_client().headers() == {"Authorization": "Bearer sent"}


def test_or_else_the_first_that_a_broker_here_accepts(monkeypatch, tmp_path):
    (tmp_path / "tokens").write_text("new\nold\n")
    monkeypatch.setenv("ROOKERY_INGRESS_TOKEN_FILE", str(tmp_path / "tokens"))
    assert read_client().headers() == {"Authorization": "Bearer new"}


def test_it_works_where_other_settings_are_wrong(monkeypatch):
    monkeypatch.setenv("PORT", "x")
    assert read_client().headers() == {}


def test_what_cannot_be_used_is_refused_by_name(monkeypatch):
    monkeypatch.setenv("K_CA_CERTS", "none")
    with pytest.raises(SettingsInvalid, match="K_CA_CERTS"):
        read_client()
