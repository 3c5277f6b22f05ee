"""The listening socket: many clients taken in at a time, and room made for the next one."""

import logging
import resource
import socket
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from rookery.serving.channel import Channel
from rookery.serving.limits import HEADER_BYTES, Limits, dispensable
from rookery.serving.workers import Workers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_log = logging.getLogger(__name__)

_ACCEPTS: Final = 64  # in one turn: those who wait in the kernel must not wait for one turn each
_SHARE: Final = 20  # a twentieth of the connections goes at a time, as looking at all takes a while
_SWEEP_SECONDS: Final = 0.5
# A body of 8 MB took 12 ms longer through a file and in smaller pieces.
_RECEIVE_BYTES: Final = 256 * 1024
_BODIES_BYTES: Final = 64 * 1024 * 1024
_PAUSE_SECONDS: Final = 0.05
_FOREVER: Final = 10 * 365 * 86_400
# A connection, and the file that a long body is kept in while it arrives.
_FILES_PER_CONNECTION: Final = 2
_OTHER_FILES: Final = 256


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """waitress's server over a socket that is bound already.

    Attributes:
        draining: answers tell their clients to leave.
        on_refused: told the code and status of every refusal that never reached the application.
    """

    channel_class = Channel

    def __init__(  # noqa: PLR0913
        self,
        app: "WSGIApplication",
        bound: socket.socket,
        *,
        threads: int,
        max_body_bytes: int,
        limits: Limits,
        on_refused: Callable[[str, int], None],
    ) -> None:
        """Listen on *bound*; the arguments are those of `server.serve`."""
        self.draining = False
        self.on_refused = on_refused
        self._limits = limits
        self._most = _room_for(limits.connections)
        self._closed_until = 0.0
        self._next_sweep = 0.0
        super().__init__(
            app,
            map={},
            _sock=bound,
            dispatcher=Workers(threads),
            adj=Adjustments(
                threads=threads,
                max_request_body_size=max_body_bytes + 1,
                max_request_header_size=HEADER_BYTES,
                # Ours are in `sweep` and `handle_accept`.
                channel_timeout=_FOREVER,
                connection_limit=_FOREVER,
                ident=None,
                recv_bytes=_RECEIVE_BYTES,
            ),
            bind_socket=False,
            sockinfo=(bound.family, bound.type, bound.proto, bound.getsockname()),
        )

    def sweep(self) -> None:
        """Refuse or close connections that hang; call it often, in the thread that reads."""
        now = monotonic()
        if now < self._next_sweep:
            return
        self._next_sweep = now + _SWEEP_SECONDS
        self._share_memory()
        for channel in tuple(self.active_channels.values()):
            channel.enforce(self._limits, now)

    def readable(self) -> bool:
        """Whether to take in connections now."""
        return bool(self.accepting) and monotonic() >= self._closed_until

    def handle_accept(self) -> None:
        """Take in those who wait, each in the place of one that hangs where there is none."""
        for _ in range(_ACCEPTS):
            if len(self.active_channels) > self._most and not self._make_room():
                # All are being worked on, so one will be done soon.
                self._closed_until = monotonic() + _PAUSE_SECONDS
                return
            try:
                accepted = self.accept()
            except OSError as exc:  # no more files
                _log.debug("a connection could not be accepted: %s", exc)
                if not self._make_room():
                    self._closed_until = monotonic() + _PAUSE_SECONDS
                return
            if accepted is None:
                return
            connection, address = accepted
            try:
                self.set_socket_options(connection)
            except OSError:  # the client has gone already
                connection.close()
                continue
            if len(self.active_channels) >= self._most:
                self._make_room()
            self.channel_class(self, connection, address, self.adj, map=self._map)
            self._share_memory()

    def _share_memory(self) -> None:
        """Say how much of a body that begins now may stay in memory; what is longer is a file.

        Whoever comes as the n-th gets an n-th, so all have less than eight times as much as one,
        even where they are a thousand and all send slowly.
        """
        self.adj.inbuf_overflow = _BODIES_BYTES // max(1, len(self.active_channels))

    def _make_room(self) -> bool:
        """Close those connections that can best be spared; return whether there were any."""
        now = monotonic()
        waiting = [
            (channel, state)
            for channel in self.active_channels.values()
            if (state := channel.waiting(now)) is not None
        ]
        chosen = dispensable(waiting, max(1, self._most // _SHARE))
        for channel in chosen:
            channel.give_way()
        return bool(chosen)


def _room_for(connections: int) -> int:
    """Let this process open enough files, as far as it may; return how many connections fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections * _FILES_PER_CONNECTION + _OTHER_FILES
    if wanted > soft != resource.RLIM_INFINITY:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    room = max(1, (soft - _OTHER_FILES) // _FILES_PER_CONNECTION)
    _log.warning("at most %d connections instead of %d: ulimit -n is %d", room, connections, soft)
    return room
