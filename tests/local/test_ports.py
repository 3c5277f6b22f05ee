import socket
from contextlib import ExitStack

import pytest

from rookery.errors import PortTaken
from rookery.free_ports import free_ports, is_free
from rookery.local.ports import choose_ports


@pytest.fixture
def taken():
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", free_ports(1)[0])) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def row():
    """The first of four ports in a row that nobody listens on."""
    for first in free_ports(50):
        if all(is_free(first + n) for n in range(4)):
            return first
    pytest.fail("no four ports in a row are free")


def test_wanted_ports_that_are_free_are_taken():
    storage, broker = free_ports(2)
    ports = choose_ports(storage=storage, broker=broker, first_function=0, functions=0)
    assert (ports.storage, ports.broker, ports.functions) == (storage, broker, ())


def test_zero_picks_free_ports_each_once():
    ports = choose_ports(storage=0, broker=0, first_function=0, functions=5)
    chosen = [ports.storage, ports.broker, *ports.functions]
    assert len(set(chosen)) == 7
    for port in chosen:
        socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize(
    ("what", "option"),
    [("storage", "--storage-port"), ("broker", "--broker-port"), ("first_function", "--function-")],
)
def test_a_port_that_is_taken_is_named_with_the_option_that_changes_it(taken, what, option):
    wanted = {"storage": 0, "broker": 0, "first_function": 0, "functions": 1, what: taken}
    with pytest.raises(PortTaken, match=str(taken)) as raised:
        choose_ports(**wanted)
    assert option in str(raised.value)


def test_every_port_that_is_taken_is_named_at_once(row):
    with ExitStack() as held:
        for port in (row, row + 1, row + 2):
            held.enter_context(socket.create_server(("127.0.0.1", port)))
        with pytest.raises(PortTaken) as raised:
            choose_ports(storage=row, broker=row + 1, first_function=row + 2, functions=1)
    named = [line.split()[1] for line in str(raised.value).splitlines()]
    assert named == [str(row), str(row + 1), str(row + 2)]


def test_one_port_for_storage_and_broker_is_refused():
    (port,) = free_ports(1)
    with pytest.raises(PortTaken, match=f"{port} is wanted for both"):
        choose_ports(storage=port, broker=port, first_function=0, functions=0)


def test_a_receiver_takes_the_place_of_storage(taken, row):
    ports = choose_ports(storage=taken, broker=0, first_function=row, functions=1, receiver=row)
    assert (ports.receiver, ports.functions) == (row, (row + 1,))


def test_a_receivers_port_that_is_taken_is_named_with_its_option(taken):
    with pytest.raises(PortTaken, match=rf"{taken} for the receiver .*--receiver-port"):
        choose_ports(storage=0, broker=0, first_function=0, functions=0, receiver=taken)


def test_functions_count_up_from_the_first(row):
    ports = choose_ports(storage=0, broker=0, first_function=row, functions=3)
    assert ports.functions == (row, row + 1, row + 2)


def test_functions_count_past_the_ports_of_storage_and_broker(row):
    ports = choose_ports(storage=row + 2, broker=row + 1, first_function=row, functions=2)
    assert ports.functions == (row, row + 3)


@pytest.mark.parametrize(
    "wanted", [{"storage": 70_000}, {"broker": -1}, {"first_function": 65_536}]
)
def test_ports_that_do_not_exist_are_refused(wanted):
    asked = {"storage": 0, "broker": 0, "first_function": 0, "functions": 1, **wanted}
    with pytest.raises(PortTaken, match="does not exist"):
        choose_ports(**asked)
