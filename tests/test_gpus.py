import pytest

from rookery.gpus import visible_gpus


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], ()),
        (["dev/nvidiactl", "dev/nvidia-uvm", "dev/null"], ()),
        (["dev/nvidia1", "dev/nvidia0"], ("nvidia0", "nvidia1")),
        (["proc/driver/nvidia/gpus/0000:01:00.0"], ("0000:01:00.0",)),
        (["proc/driver/nvidia/gpus/0000:01:00.0", "dev/nvidia0"], ("0000:01:00.0", "nvidia0")),
    ],
)
def test_gpus_are_what_the_driver_lists_and_their_devices(paths, expected, tmp_path):
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert visible_gpus(tmp_path) == expected
