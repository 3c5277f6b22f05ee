"""A model in OpenVINO's own format: model.xml, which is the graph, and model.bin, the weights."""

from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from rookery.backends.protocol import Signature, TensorSpec
from rookery.errors import ModelInvalid
from rookery.models.formats import FILES
from rookery.zoo.sources.library_source import LibrarySource

_DTYPES: Final = {"FP32": "float32", "FP16": "float16", "U8": "uint8"}
_MAX_BYTES: Final = 256 * 1024 * 1024


def open_openvino(path: Path, scratch: Path) -> LibrarySource:
    """Read the model in the file *path*, whose weights lie beside it.

    Raises:
        ModelInvalid: it is no such model, is damaged, or the weights are missing.
    """
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise ModelInvalid(f"{path} needs its weights beside it: there is no {weights.name}")
    file = FILES["openvino"]
    files = {file: path, Path(file).with_suffix(".bin").name: weights}
    signature = read_signature(path.read_bytes(), str(path))
    return LibrarySource(signature, "openvino", files, ("openvino",), scratch)


def read_signature(data: bytes, where: str) -> Signature:
    """Return what the graph *data* takes and gives.

    Raises:
        ModelInvalid: it is no graph of OpenVINO's; *where* names the file.
    """
    try:
        return _signature(_parse(data, where), where)
    except ModelInvalid:
        raise
    except ValueError as exc:
        raise ModelInvalid(f"{where} is damaged: {exc}") from exc


def _signature(root: ET.Element, where: str) -> Signature:
    layers = {layer.get("id"): layer for layer in root.iter("layer")}
    if root.tag != "net" or not layers:
        raise ModelInvalid(f"{where} is no model of OpenVINO's: it has no layers")
    edges = {
        edge.get("to-layer"): (edge.get("from-layer"), edge.get("from-port"))
        for edge in root.iter("edge")
    }
    inputs, outputs = [], []
    for number, layer in layers.items():
        if layer.get("type") == "Parameter":
            inputs += [_spec(port) for port in layer.iter("port")]
        elif layer.get("type") == "Result" and number in edges:
            source, port_id = edges[number]
            ports = layers[source].iter("port") if source in layers else ()
            outputs += [_spec(port) for port in ports if port.get("id") == port_id]
    return Signature(inputs=tuple(inputs), outputs=tuple(outputs))


def _parse(data: bytes, where: str) -> ET.Element:
    # No entities: they are how a small file becomes a large one.
    if len(data) > _MAX_BYTES or b"<!DOCTYPE" in data:
        raise ModelInvalid(f"{where} is no model of OpenVINO's: it is too long or has a DOCTYPE")
    if b"\0" in data:
        # A DOCTYPE in UTF-16 has other bytes than those looked for.
        raise ModelInvalid(f"{where} is no model of OpenVINO's, or damaged: it is no UTF-8")
    try:
        return ET.fromstring(data)  # noqa: S314 - nothing is declared in it
    except (ET.ParseError, ValueError, LookupError) as exc:
        raise ModelInvalid(f"{where} is no model of OpenVINO's, or damaged: {exc}") from exc


def _spec(port: ET.Element) -> TensorSpec:
    # A tensor may carry several names, a frozen graph's with ":0"; the backend takes this one, too.
    names = [name.removesuffix(":0") for name in (port.get("names") or "").split(",")]
    precision = port.get("precision") or "no type"
    sizes = tuple(int(dim.text or -1) for dim in port.iter("dim"))
    return TensorSpec(
        min(names, key=lambda name: (len(name), name)),
        _DTYPES.get(precision, precision.lower()),
        tuple(size if size >= 0 else None for size in sizes),
    )
