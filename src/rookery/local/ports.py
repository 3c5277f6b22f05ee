"""The ports of everything that runs on this machine, checked before anything starts."""

import socket

from rookery.errors import PortTaken
from rookery.local.plan import HOST, Ports


def choose_ports(*, storage: int, broker: int, first_function: int, functions: int) -> Ports:
    """Return the wanted ports, all of them free at this moment; 0 means any.

    Functions count up from *first_function*.

    Raises:
        PortTaken: with every port that is taken, and the option that changes it.
    """
    wanted = [
        ("storage", "--storage-port", storage),
        ("broker", "--broker-port", broker),
        *(
            (f"function {n + 1}", "--function-port", first_function + n if first_function else 0)
            for n in range(functions)
        ),
    ]
    taken = [
        f"port {port} for the {what} is taken; free it, or choose another with {option}"
        for what, option, port in wanted
        if port and not _is_free(port)
    ]
    if taken:
        raise PortTaken("\n".join(taken))
    free = _free_ports(sum(port == 0 for _, _, port in wanted))
    ports = [port or free.pop() for _, _, port in wanted]
    return Ports(ports[0], ports[1], tuple(ports[2:]))


def _is_free(port: int) -> bool:
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def _free_ports(number: int) -> list[int]:
    # Held open together, so that none is handed out twice.
    sockets = [socket.create_server((HOST, 0)) for _ in range(number)]
    try:
        return [held.getsockname()[1] for held in sockets]
    finally:
        for held in sockets:
            held.close()
