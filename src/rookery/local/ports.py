"""The ports of everything that runs on this machine, checked before anything starts."""

import socket
from itertools import count, islice
from typing import Final

from rookery.errors import PortTaken
from rookery.free_ports import free_ports
from rookery.local.access import HOST
from rookery.local.plan import Ports

_HIGHEST: Final = 65_535


def choose_ports(
    *, storage: int, broker: int, first_function: int, functions: int, receiver: int | None = None
) -> Ports:
    """Return the wanted ports, all of them free at this moment; 0 means any.

    Functions count up from *first_function*, past the others. With a *receiver* there is no
    storage of ours, and nothing needs its port.

    Raises:
        PortTaken: with every port that cannot be had, and the option that changes it.
    """
    front, what, option = (
        (storage, "storage", "--storage-port")
        if receiver is None
        else (receiver, "receiver", "--receiver-port")
    )
    others = {front, broker}
    upwards = (port for port in count(first_function) if port not in others)
    function_ports = list(islice(upwards, functions)) if first_function else [0] * functions
    wanted = [
        (what, option, front),
        ("broker", "--broker-port", broker),
        *((f"function {n}", "--function-port", port) for n, port in enumerate(function_ports, 1)),
    ]
    problems = [
        f"port {port} for the {whose} {problem}; choose another with {change}"
        for whose, change, port in wanted
        if port and (problem := _problem(port))
    ]
    if front and front == broker:
        problems.append(
            f"port {front} is wanted for both {what} and broker; choose another with "
            f"{option} or --broker-port"
        )
    if problems:
        raise PortTaken("\n".join(problems))
    given = {port for _, _, port in wanted}
    free = iter(free_ports(sum(port == 0 for _, _, port in wanted), besides=given))
    ports = [port or next(free) for _, _, port in wanted]
    if receiver is None:
        return Ports(ports[0], ports[1], tuple(ports[2:]))
    return Ports(0, ports[1], tuple(ports[2:]), receiver=ports[0])


def _problem(port: int) -> str:
    """Say why *port* cannot be listened on, or nothing."""
    if not 0 < port <= _HIGHEST:
        return f"does not exist: they go up to {_HIGHEST}"
    try:
        socket.create_server((HOST, port)).close()
    except PermissionError:
        return "is reserved for root"
    except OSError:
        return "is taken: free it"
    return ""
