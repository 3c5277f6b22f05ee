import pytest

from rookery.models.formats import network_bytes

SIZES = {
    "saved_model.pb": 1, "variables/variables.index": 2, "variables/data": 4, "frozen.pb": 8,
    "model.onnx": 16, "model.xml": 32, "model.bin": 64, "labels.txt": 128,
}  # fmt: skip


@pytest.mark.parametrize(
    ("format_", "expected"),
    [("savedmodel", 1 + 2 + 4), ("frozen", 8), ("onnx", 16), ("openvino", 32 + 64)],
)
def test_the_size_of_a_network_is_that_of_one_format(format_, expected, tmp_path):
    for name, size in SIZES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    assert network_bytes(tmp_path, format_) == expected
