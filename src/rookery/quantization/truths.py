"""What is on the images of a folder, where the folder says so: class folders, or a labels.csv."""

import csv
import logging
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Final

from rookery.errors import QuantizationRefused

_log = logging.getLogger(__name__)

LABELS_CSV: Final = "labels.csv"

_SYNSET: Final = re.compile(r"n[0-9]{8}")

# The classes an image may be said to show: two of ImageNet are called crane.
Classes = frozenset[int]


def read_truths(
    folder: Path, images: Sequence[Path], labels: Sequence[str]
) -> Mapping[Path, Classes]:
    """Return the classes of those of *images*, all there are below *folder*, that are known.

    A `labels.csv` in *folder* (columns `file`, relative to it, and `label`) says it of every image;
    else the folder that an image lies in, where it is named like a class of *labels*.

    Raises:
        QuantizationRefused: the labels.csv cannot be read, or names a class that is none.
    """
    listing = folder / LABELS_CSV
    if listing.is_file():
        return _listed(listing, images, labels)
    names = sorted({image.parent.name for image in images if image.parent != folder})
    meant = _synsets(names, labels) or {name: classes_of(name, labels) for name in names}
    return {
        image: found
        for image in images
        if image.parent != folder and (found := meant[image.parent.name])
    }


def classes_of(name: str, labels: Sequence[str]) -> Classes:
    """Return the classes of *labels* that *name* means: a label, its first word, or its index.

    Upper and lower case are one, and so are spaces and underscores.
    """
    wanted = _plain(name)
    for meaning in (_plain, lambda label: _plain(label.partition(",")[0])):
        if found := frozenset(
            index for index, label in enumerate(labels) if meaning(label) == wanted
        ):
            return found
    if name.isdecimal() and int(name) < len(labels):
        return frozenset({int(name)})
    return frozenset()


def _synsets(names: Sequence[str], labels: Sequence[str]) -> Mapping[str, Classes]:
    """Return the classes of folders named by WordNet's numbers; ImageNet sorts its classes so."""
    if len(names) != len(labels) or not all(_SYNSET.fullmatch(name) for name in names):
        return {}
    return {name: frozenset({index}) for index, name in enumerate(names)}


def _listed(listing: Path, images: Sequence[Path], labels: Sequence[str]) -> Mapping[Path, Classes]:
    try:
        text = listing.read_text(encoding="utf-8-sig")
        rows = [*csv.DictReader(StringIO(text, newline=""))]
    except (OSError, ValueError, csv.Error) as exc:
        raise QuantizationRefused(f"{listing} cannot be read as CSV: {exc}") from exc
    truths = {}
    for number, row in enumerate(rows, start=2):
        file, label = row.get("file"), row.get("label")
        if not file or not label:
            raise QuantizationRefused(
                f"{listing}, row {number}: write a first row `file,label`, and both in every row"
            )
        classes = classes_of(label.strip(), labels)
        if not classes:
            raise QuantizationRefused(
                f"{listing}, row {number}: the model has no class {label!r}; write one of its "
                "labels, or the class's index"
            )
        truths[listing.parent / file.strip()] = classes
    there = set(images)
    if absent := [path for path in truths if path not in there]:
        _log.warning(
            "%s names %d files that are no images there, of %d; the first is %s",
            listing, len(absent), len(truths), absent[0],
        )  # fmt: skip
    return {path: classes for path, classes in truths.items() if path in there}


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()
