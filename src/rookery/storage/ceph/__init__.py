"""A real Ceph on this machine: one monitor, one OSD and one radosgw below one private folder."""
