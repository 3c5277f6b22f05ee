"""Upload -> result event, through S3, SQS, source, broker and function, against the bare call."""

from dataclasses import dataclass
from statistics import median
from time import perf_counter

from bare import bare_call, find
from http_overhead import photograph
from processes import System, new_home, up
from results import watching
from table import Row

ROUNDS = 100
WARM_UP = 10
TARGET_MS = 25.0
PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Medians:
    """Milliseconds from the PUT to the result, of the bare call, and of decoding in between."""

    whole: float
    bare: float
    decode: float


def run() -> list[Row]:
    """Compare on both backends."""
    return [_compare(backend) for backend in ("openvino", "tensorflow")]


def measure(system: System, backend: str) -> Medians:
    """Upload to *system* and call the bare *backend*, in turns."""
    image = photograph()
    call = bare_call(find("efficientnet-lite0"), backend, image)
    store = system.store()
    whole_ms, bare_ms, decode_ms = [], [], []
    with watching(system.state.broker_url) as results:
        for turn in range(ROUNDS + WARM_UP):
            key = f"bench-{turn}.jpg"
            started = perf_counter()
            store.write(system.state.bucket, key, image, content_type="image/jpeg")
            results.wait_for([key], PATIENCE_SECONDS)
            bare = call()
            if turn >= WARM_UP:
                seen = results.seen[key]
                whole_ms.append((seen.moment - started) * 1000)
                decode_ms.append(seen.decode_ms)
                bare_ms.append(bare)
    return Medians(median(whole_ms), median(bare_ms), median(decode_ms))


def _compare(backend: str) -> Row:
    with new_home() as home, up(home, ROOKERY_BACKEND=backend) as system:
        medians = measure(system, backend)
    overhead = medians.whole - medians.decode - medians.bare
    return Row(
        f"upload -> result event, {backend}",
        f"{medians.whole:.1f} ms",
        f"bare {medians.bare:.1f} ms + decode {medians.decode:.1f} ms",
        f"{overhead:+.1f} ms",
        f"<= {TARGET_MS:.0f} ms",
        overhead <= TARGET_MS,
    )
