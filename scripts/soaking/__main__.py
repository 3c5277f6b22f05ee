"""Ten thousand uploads into a real Ceph while everything fails: is anything lost or doubled?"""

import argparse
import math
import random
import shlex
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from faults import Injector, children, of_system, resident_mebibytes
from meters import Meters
from report import Soak, to_markdown
from rookery.errors import SinkUnavailable
from system import System, running
from tally import count
from uploader import Uploader
from workload import plan

ROOT = Path(__file__).parents[2]
# The slowest of Ceph's own deliveries was measured to take more than 10 s.
_QUIET_SECONDS = 20.0


def main() -> None:
    """Soak; the exit status is 1 when anything was lost, doubled or contradictory."""
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description=__doc__,
        epilog="example: scripts/soak --uploads 500 --seed 7",
    )
    parser.add_argument("--uploads", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="0 draws one; the report says which")
    parser.add_argument("--backend", default="openvino", help="tensorflow, openvino or fixed")
    parser.add_argument(
        "--every", type=float, nargs=2, default=(4.0, 12.0), metavar=("FROM", "TO"),
        help="seconds between two faults",
    )  # fmt: skip
    parser.add_argument("--settle-seconds", type=float, default=900.0)
    parser.add_argument("--report", type=Path, help="write the report to this file, too")
    options = parser.parse_args()
    # Whatever ends it, what it has started ends with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="rookery-soak-") as folder:
        models = ROOT / ".rookery" / "models"
        with running(Path(folder), models, options.backend) as system:
            soak = _soak(system, options)
    text = to_markdown(soak)
    print(text)
    if options.report:
        options.report.write_text(text + "\n")
    sys.exit(not soak.tally.perfect)


def _soak(system: System, options: argparse.Namespace) -> Soak:
    seed = options.seed or random.SystemRandom().randrange(1, 1_000_000)
    randomly = random.Random(seed)
    uploads = plan(options.uploads, randomly)
    node = system.node
    photographs = [
        file.read_bytes()
        for file in sorted((ROOT / "functions" / "classify" / "data").glob("*.jpg"))
    ]
    uploader = Uploader(node.endpoint, node.access_key, node.secret_key, system.bucket, photographs)
    meters = Meters(
        {
            "receiver": system.receiver_url,
            "broker": system.broker_url,
            "function": system.function_url,
        }
    )
    injector = Injector(of_system(system.process.pid, node), randomly, tuple(options.every))
    memory_at_first: dict[str, float] = {}
    done = 0

    def on_done() -> None:
        nonlocal done
        done += 1
        if done == max(1, len(uploads) // 10):
            memory_at_first.update(_memory(system))
        if done % 100 == 0 or done == len(uploads):
            faults = sum(injector.struck.values())
            print(
                f"\r{done:,} of {len(uploads):,} uploaded, {faults} faults", end="", file=sys.stderr
            )

    began = time.monotonic()
    injector.start()
    uploader.run(uploads, on_done)
    # Uploads are quicker than inference: what is still to be delivered is to suffer, too.
    while _pending(system) > len(uploads) // 20:
        time.sleep(1)
    injector.stop()
    uploaded = time.monotonic()
    print("\nsettling …", file=sys.stderr)
    _settle(system, options.settle_seconds)
    healed = system.reconcile()
    _settle(system, options.settle_seconds)
    meters.stop()
    settled = time.monotonic()
    memory = _memory(system)
    return Soak(
        command=shlex.join(["scripts/soak", *sys.argv[1:]]),
        seed=seed,
        seconds=uploaded - began,
        settle_seconds=settled - uploaded,
        kinds=Counter(upload.kind for upload in uploads),
        versions=len(uploader.stored.attempts),
        repeats=uploader.failures,
        faults=injector.struck,
        absorbed={
            "receiver": meters.sums["receiver:rookery_receiver_duplicate_total"],
            "broker": meters.sums["broker:rookery_broker_duplicate_total"],
            "function": meters.sums["function:rookery_events_total,repeated"],
        },
        healed=healed,
        tally=count(uploader.stored, system.results(), system.dead_letters()),
        memory={name: (memory_at_first.get(name, 0.0), now) for name, now in memory.items()},
    )


def _settle(system: System, seconds: float) -> None:
    """Wait until nothing has been pending for a few seconds: Ceph still pushes what it kept."""
    deadline = time.monotonic() + seconds
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < _QUIET_SECONDS:
        if time.monotonic() > deadline:
            raise SystemExit(f"soak: {system.pending()} deliveries pending after {seconds:.0f} s")
        if _pending(system):
            quiet_since = time.monotonic()
        time.sleep(0.25)


def _pending(system: System) -> float:
    """How many deliveries are still to be made; endless while nobody can say."""
    try:
        return system.pending()
    except SinkUnavailable:
        return math.inf  # it will be up again


def _memory(system: System) -> dict[str, float]:
    names = {"receiver": "source", "broker": "broker", "function": "serve"}
    return {
        name: sum(map(resident_mebibytes, children(system.process.pid, command)))
        for name, command in names.items()
    }


if __name__ == "__main__":
    main()
