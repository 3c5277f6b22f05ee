import socket

from rookery.lifecycle import instance


def test_a_process_stays_the_instance_it_is():
    assert instance.current() is instance.current()


def test_renewing_makes_another_instance():
    before = instance.current()
    after = instance.renew()
    assert after.id != before.id
    assert instance.current() is after


def test_an_instance_knows_its_host(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "pod-7")
    assert instance.renew().hostname == "pod-7"
    monkeypatch.undo()
    instance.renew()
