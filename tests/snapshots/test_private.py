import os
import stat

from rookery.snapshots import private


def test_a_file_is_born_private(tmp_path):
    before = os.umask(0)
    try:
        with open(tmp_path / "pages", "xb", opener=private.opener):
            assert stat.S_IMODE((tmp_path / "pages").stat().st_mode) == 0o600
    finally:
        os.umask(before)
