"""Which GPUs this process may see."""

from pathlib import Path


def visible_gpus(root: Path = Path("/")) -> tuple[str, ...]:
    """Return a name for each of NVIDIA's GPUs, sorted; none where its driver is not loaded.

    Both what the driver lists and the devices: a container may have all of the one and some of the
    other.

    Args:
        root: the folder that procfs and the devices are mounted in.
    """
    listed = (root / "proc/driver/nvidia/gpus").glob("*")
    devices = (root / "dev").glob("nvidia[0-9]*")
    return tuple(sorted(path.name for path in (*listed, *devices)))
