"""What is known of a made node: one file that only its owner may read, as it holds the keys."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from rookery.errors import CephInvalid
from rookery.storage.ceph.conf import HOST, Conf, Store

REGION: Final = "us-east-1"
_FILE: Final = "node.json"
_FOLDER: Final = "ceph"


@dataclass(frozen=True, slots=True)
class CephNode:
    """A node that has been made, whether it runs or not.

    Attributes:
        folder: where everything of it lies.
        port: of its S3 (and SNS) API.
        region: what to sign requests for; Ceph takes any.
    """

    folder: Path
    fsid: str
    port: int
    mon_ports: tuple[int, int]
    store: Store
    store_bytes: int
    access_key: str
    secret_key: str = field(repr=False)
    region: str = REGION

    @property
    def endpoint(self) -> str:
        """The URL of its S3 (and SNS) API."""
        return f"http://{HOST}:{self.port}"

    @property
    def conf(self) -> Conf:
        """What its ceph.conf is made of."""
        return Conf(self.folder, self.fsid, self.port, self.mon_ports, self.store, self.store_bytes)


def node_folder(home: Path) -> Path:
    """Return the folder of the node of *home*, without links: processes are found by it."""
    return home.resolve() / _FOLDER


def read_node(home: Path) -> CephNode | None:
    """Return the node of *home*, or None where none was made to the end.

    Raises:
        CephInvalid: what is there cannot be read.
    """
    file = node_folder(home) / _FILE
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        new, old = document.pop("mon_ports")
        return CephNode(folder=file.parent, mon_ports=(new, old), **document)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise CephInvalid(
            f"{file} cannot be used: {type(exc).__name__}: {exc}; bring it back, or delete the "
            "node and its data with: rookery ceph down --delete"
        ) from exc


def write_node(node: CephNode) -> None:
    """Keep *node* for `read_node`, at once and for its owner alone."""
    document = {name: value for name, value in asdict(node).items() if name != "folder"}
    incoming = node.folder / f".{_FILE}"
    incoming.unlink(missing_ok=True)
    descriptor = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    incoming.replace(node.folder / _FILE)
