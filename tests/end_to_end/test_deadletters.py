"""What became a dead letter is told, listed, retried and dropped; what was done stays done."""

import json
import os
import subprocess
import sys
from pathlib import Path

import urllib3

from rookery.events.broker.client import replay
from whole_system import PHOTOGRAPH, ROOT, System, home_with, running, wait_until


def deadletters(system: System, *words: str) -> str:
    """Run `rookery deadletters`, which finds the running system by itself."""
    return subprocess.run(
        (sys.executable, "-m", "rookery", "deadletters", *words),
        env={**os.environ, "ROOKERY_HOME": str(system.home)},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def test_a_dead_letter_is_told_listed_retried_and_dropped(
    quick_system: System, tmp_path: Path
) -> None:
    quick_system.put("note.jpg", b"this is no image")

    def told() -> bool:
        return "dead letter classify-function-trigger-" in (tmp_path / "up.log").read_text()

    wait_until(told, 30, "the line of the dead letter")
    (line,) = deadletters(quick_system, "list", "--json").splitlines()
    letter = json.loads(line)
    assert letter["code"] == 422
    assert "ImageUndecodable" in letter["reason"]

    retried = deadletters(quick_system, "retry", letter["id"])
    assert retried == "1 queued again\n"
    quick_system.settle()
    again = json.loads(deadletters(quick_system, "show", "--json", letter["id"]))
    assert again["died"] > letter["died"]

    assert deadletters(quick_system, "drop", "--all", "--yes") == "1 dropped\n"
    assert deadletters(quick_system, "list") == ""


def test_a_function_that_was_killed_knows_what_it_did_before(models: Path, tmp_path: Path) -> None:
    window = f"sqlite:{tmp_path / 'dedup.db'}"
    with (
        (tmp_path / "up.log").open("w+") as log,
        running(
            home_with(models, tmp_path), log=log, ROOKERY_BACKEND="fixed", ROOKERY_DEDUP=window
        ) as system,
    ):
        after = system.head()
        system.put("photo.jpg", PHOTOGRAPH.read_bytes())
        (result,) = system.results(1, after=after)
        system.settle()
        pid = system.pid("classify")

        system.kill("classify")
        for name in ("classify-function-trigger-0", "classify-function-trigger-1"):
            replay(system.state.broker_url, name, after="0")
        wait_until(lambda: system.pid("classify") not in (None, pid), 30, "the restart")
        system.settle()

        (url,) = system.state.function_urls.values()
        metrics = urllib3.request("GET", f"{url}/metrics", timeout=60).data.decode()
        assert 'rookery_events_total{outcome="repeated"} 1.0' in metrics
        assert 'outcome="completed"' not in metrics
        assert system.journal("dev.rookery.") == [result]
