"""What the fault tests share: brokers that are killed, subscribers, luck that can be had again."""

import os
import random
from contextlib import ExitStack

import pytest

from broker_processes import broker_process
from journal_servers import Subscriber
from misbehaving import raw_subscriber


@pytest.fixture
def luck() -> random.Random:
    """Randomness that a failed run prints, to be had again with ROOKERY_FAULT_SEED."""
    seed = int(os.environ.get("ROOKERY_FAULT_SEED") or random.SystemRandom().randrange(2**32))
    print(f"ROOKERY_FAULT_SEED={seed}")  # noqa: T201 - pytest shows it with a failure
    return random.Random(seed)


@pytest.fixture
def broker(tmp_path):
    """Make one broker that is a process: broker(trigger, ..., journal=..., environ=...)."""
    with ExitStack() as stack:
        yield lambda *triggers, **options: stack.enter_context(
            broker_process(tmp_path, triggers, **options)
        )


@pytest.fixture
def subscribe():
    """Start subscribers that record: subscribe(answer); see journal_servers."""
    with ExitStack() as stack:

        def start(answer=204) -> Subscriber:
            subscriber = Subscriber(answer if callable(answer) else lambda _: answer)
            stack.callback(subscriber.close)
            return subscriber

        yield start


@pytest.fixture
def misbehave():
    """Start subscribers that misbehave: misbehave(behavior, number of times)."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(raw_subscriber(*arguments))
