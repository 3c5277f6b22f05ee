"""What a soak uploads: photographs above all, and everything that goes wrong with objects."""

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["photograph", "multipart", "overwritten", "deleted", "damaged"]

# Weights; what must become a dead letter is rare, as it is in life.
_KINDS: Final[dict[Kind, int]] = {
    "photograph": 92,
    "multipart": 1,
    "overwritten": 2,
    "deleted": 2,
    "damaged": 3,
}
PART_BYTES: Final = 5 * 1024 * 1024  # the smallest part S3 allows in front of another


@dataclass(frozen=True)
class Upload:
    """One key that will be uploaded, and how."""

    key: str
    kind: Kind


def plan(number: int, randomly: random.Random) -> tuple[Upload, ...]:
    """Return *number* uploads with a key each."""
    kinds = randomly.choices(list(_KINDS), list(_KINDS.values()), k=number)
    return tuple(Upload(f"{kind}/{index:05}.jpg", kind) for index, kind in enumerate(kinds))


def contents(upload: Upload, photographs: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return what is stored under the key, one version after the other.

    What follows the end of a JPEG is ignored by every decoder: it makes each version's entity tag
    its own, so that the tally can tell all of them apart.
    """
    photograph = photographs[zlib.crc32(upload.key.encode()) % len(photographs)]
    mark = b"\n" + upload.key.encode()
    match upload.kind:
        case "damaged":
            return (photograph[: len(photograph) // 3] + mark,)
        case "overwritten":
            return (photograph + mark, photograph + mark + b" again")
        case "multipart":
            return (photograph + mark + bytes(PART_BYTES),)
        case _:
            return (photograph + mark,)
