"""kill -9 at any time: after the restart every image has its one result."""

import random
import threading

import pytest

from whole_system import PHOTOGRAPH, System, wait_until

IMAGES = 500
KILLS = 5


@pytest.mark.timeout(300)
@pytest.mark.parametrize("victim", ["broker", "source", "classify"])
def test_every_upload_has_exactly_one_result_after_kills(quick_system: System, victim: str) -> None:
    photograph = PHOTOGRAPH.read_bytes()
    keys = [f"image-{number}.jpg" for number in range(IMAGES)]
    uploaded = threading.Event()

    def upload() -> None:
        for key in keys:
            quick_system.put(key, photograph)
        uploaded.set()

    uploader = threading.Thread(target=upload)
    uploader.start()
    randomly = random.Random(victim)
    for _ in range(KILLS):
        wait_until(lambda: quick_system.pid(victim) is not None, 30, f"restart of the {victim}")
        uploaded.wait(randomly.uniform(0.2, 1.5))
        quick_system.kill(victim)
    uploader.join()

    quick_system.results(IMAGES, after=0, seconds=180)
    quick_system.settle()
    results = quick_system.journal("dev.rookery.")

    assert {event.type for event in results} == {"dev.rookery.inference.completed.v1"}
    assert sorted(event.subject or "" for event in results) == sorted(keys)
    assert len({event.id for event in results}) == IMAGES
