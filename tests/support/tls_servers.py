"""HTTPS servers with certificates of an authority that nobody knows yet."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import trustme
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@dataclass(frozen=True)
class TlsServer:
    """A running server, its authority, and another one that has nothing to do with it.

    Attributes:
        url: with the name that its certificate is made for.
        other_url: the same server by a name that it is not.
    """

    url: str
    other_url: str
    ca_file: Path
    ca_certs: str
    other_ca_file: Path
    other_ca_certs: str


@contextmanager
def tls_server(app: "WSGIApplication", folder: Path) -> Iterator[TlsServer]:
    """Serve *app* as localhost."""
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=context)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for name, one in (("ca.pem", authority), ("other.pem", other)):
        one.cert_pem.write_to_path(str(folder / name))
    try:
        yield TlsServer(
            url=f"https://localhost:{server.port}",
            other_url=f"https://127.0.0.1:{server.port}",
            ca_file=folder / "ca.pem",
            ca_certs=authority.cert_pem.bytes().decode(),
            other_ca_file=folder / "other.pem",
            other_ca_certs=other.cert_pem.bytes().decode(),
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
