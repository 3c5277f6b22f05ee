"""A socket in words: what kind it is, and whom it talks to."""

import os
import socket
from contextlib import suppress
from typing import Final

_PROTOCOLS: Final = {
    (socket.AF_INET, socket.SOCK_STREAM): "TCP",
    (socket.AF_INET6, socket.SOCK_STREAM): "TCP",
    (socket.AF_INET, socket.SOCK_DGRAM): "UDP",
    (socket.AF_INET6, socket.SOCK_DGRAM): "UDP",
}


def describe_socket(descriptor: int) -> str:
    """Say what the socket behind *descriptor* is; it stays open, and as it was."""
    with socket.socket(fileno=os.dup(descriptor)) as one:
        kind = _PROTOCOLS.get((one.family, one.type)) or one.family.name.removeprefix("AF_")
        local, peer = "", ""
        with suppress(OSError):
            local = _address(one.getsockname())
        with suppress(OSError):  # it has none
            peer = _address(one.getpeername())
        listening = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if listening:
        return f"{kind} socket that listens on {local}"
    ends = " -> ".join(end for end in (local, peer) if end)
    return f"{kind} socket {ends}".rstrip()


def _address(address: object) -> str:
    """Write what `getsockname` returns: a tuple for the Internet, else a path or a number."""
    match address:
        case (str(host), int(port), *_):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case bytes():
            return "@" + address[1:].decode(errors="replace")  # Linux: an abstract name
        case _:
            return str(address)
