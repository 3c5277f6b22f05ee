"""Ports of this machine that no outgoing connection of it takes away before they are used."""

import socket
from collections.abc import Collection, Iterator
from pathlib import Path
from random import SystemRandom
from typing import Final

from rookery.errors import PortTaken

_HOST: Final = "127.0.0.1"
_LOWEST: Final = 15_000
_ATTEMPTS: Final = 1000
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL: Final = 32_768


def is_free(port: int) -> bool:
    """Say whether *port* can be listened on at this moment."""
    try:
        socket.create_server((_HOST, port)).close()
    except OSError:
        return False
    return True


def free_ports(number: int, *, besides: Collection[int] = ()) -> tuple[int, ...]:
    """Return *number* ports below those that the kernel lends to clients.

    Whoever listens on one does so later, or again after a restart: by then a client may have been
    lent a port that was free when it was looked at.

    Raises:
        PortTaken: there are none.
    """
    found: list[int] = []
    candidates = _candidates()
    while len(found) < number and (port := next(candidates, None)) is not None:
        if port not in besides and port not in found and is_free(port):
            found.append(port)
    if len(found) == number:
        return tuple(found)
    raise PortTaken(f"no {number} free ports were found on {_HOST}")


def _candidates() -> Iterator[int]:
    try:
        highest = int(_RANGE.read_text(encoding="utf-8").split()[0])
    except (OSError, ValueError, IndexError):
        highest = _EPHEMERAL
    # A user may have given the clients everything; then any port is as good as another.
    highest = highest if highest > _LOWEST + _ATTEMPTS else 65_536
    random = SystemRandom()
    for _ in range(_ATTEMPTS):
        yield random.randrange(_LOWEST, highest)
