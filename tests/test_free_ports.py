import socket
from pathlib import Path

import pytest

from rookery import free_ports as ports
from rookery.errors import PortTaken
from rookery.free_ports import free_ports, is_free


def test_a_port_in_use_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as held:
        assert not is_free(held.getsockname()[1])


def test_ports_are_free_and_different():
    found = free_ports(20)
    assert len(set(found)) == 20
    assert all(is_free(port) for port in found)


def test_no_client_of_this_machine_is_lent_such_a_port():
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(free_ports(20)) < max(lowest, 16_000)


def test_a_port_that_is_spoken_for_is_left_out(monkeypatch):
    monkeypatch.setattr(ports, "_candidates", lambda: iter([20_001, 20_002, 20_003]))
    monkeypatch.setattr(ports, "is_free", lambda port: port != 20_002)
    assert free_ports(1, besides={20_001}) == (20_003,)


def test_too_few_ports_are_an_error(monkeypatch):
    monkeypatch.setattr(ports, "_candidates", lambda: iter([20_001]))
    with pytest.raises(PortTaken, match="no 2 free ports"):
        free_ports(2)


def test_no_port_is_always_to_be_had():
    assert free_ports(0) == ()
