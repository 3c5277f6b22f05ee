"""What decoding a photograph of 48 megapixels needs, in a process that does nothing else."""

import subprocess
import sys

from PIL import Image

MEBIBYTE = 2**20

# The kernel's own peak, counted anew just before: importing has needed more.
CHILD = """
import sys
from pathlib import Path
from rookery.images.decode import decode
from rookery.images.limits import ImageLimits
from rookery.images.normalize import normalize
from rookery.images.preprocessing import Preprocessing
from rookery.images.sample import sample_jpeg

def kibibytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

target, data = Preprocessing(224, 224), Path(sys.argv[1]).read_bytes()
normalize(decode(sample_jpeg(), target, ImageLimits()).pixels, target)
Path("/proc/self/clear_refs").write_text("5")
before = kibibytes("VmRSS:")
normalize(decode(data, target, ImageLimits()).pixels, target)
print(kibibytes("VmHWM:") - before)
"""


def test_48_megapixels_need_little_more_than_the_pixels_that_are_decoded(tmp_path):
    # In full they are 192 MB; as floats they would be 576 MB.
    picture = tmp_path / "picture.jpg"
    Image.new("RGB", (6000, 8000), "teal").save(picture)
    run = [sys.executable, "-c", CHILD, str(picture)]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert int(printed) * 1024 < 24 * MEBIBYTE
