"""docs/ceph.md lists what the receiver really says."""

import re
from pathlib import Path

DOCS = (Path(__file__).parents[2] / "docs" / "ceph.md").read_text()
# Always 0 here; docs/broker.md explains them.
ELSEWHERE = {"rookery_receiver_hop_limit_total", "rookery_receiver_replies_total",
             "rookery_receiver_dead_lettered_total"}  # fmt: skip


def test_every_metric_is_listed(receive, subscribe):
    text = receive(subscribe().url).send("GET", "/metrics").data.decode()
    shown = set(re.findall(r"^# TYPE (rookery_receiver_\w+)", text, re.MULTILINE))
    own = {name for name in shown - ELSEWHERE if not name.endswith("_created")}
    assert own == set(re.findall(r"^\| `(rookery_receiver_\w+)", DOCS, re.MULTILINE))
