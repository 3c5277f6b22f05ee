"""Upload -> result event, through S3, SQS, source, broker and function, against the bare call."""

import json
import threading
from statistics import median
from time import perf_counter

from bare import bare_call, find
from http_overhead import photograph
from processes import up
from rookery.events.broker.client import follow, head
from rookery.local.access import ACCESS_KEY, REGION, SECRET_KEY
from rookery.storage.s3 import connect
from table import Row

ROUNDS = 100
TARGET_MS = 25.0


def run() -> list[Row]:
    """Compare on both backends."""
    return [_compare(backend) for backend in ("openvino", "tensorflow")]


def _compare(backend: str) -> Row:
    image = photograph()
    call = bare_call(find("efficientnet-lite0"), backend, image)
    with up(ROOKERY_BACKEND=backend) as state:
        store = connect(
            endpoint=state["storage_url"],
            region=REGION,
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
        )
        arrived: dict[str, tuple[float, float]] = {}
        newest = head(state["broker_url"])
        news = threading.Condition()
        done = threading.Event()

        def watch() -> None:
            for _, event in follow(
                state["broker_url"], after=newest, type_prefix="dev.rookery.", stop=done.is_set
            ):
                moment = perf_counter()
                with news:
                    decode = json.loads(event.data)["timings"]["decode_ms"]
                    arrived[event.subject or ""] = (moment, decode)
                    news.notify_all()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        whole_ms, bare_ms, decode_ms = [], [], []
        for turn in range(ROUNDS + 10):
            key = f"bench-{turn}.jpg"
            started = perf_counter()
            store.write(state["bucket"], key, image, content_type="image/jpeg")
            with news:
                if not news.wait_for(lambda key=key: key in arrived, timeout=30):
                    raise SystemExit(f"bench: no result for {key} within 30 s")
            bare = call()
            if turn >= 10:
                moment, decode = arrived[key]
                whole_ms.append((moment - started) * 1000)
                decode_ms.append(decode)
                bare_ms.append(bare)
        done.set()
    overhead = median(whole_ms) - median(decode_ms) - median(bare_ms)
    return Row(
        f"upload -> result event, {backend}",
        f"{median(whole_ms):.1f} ms",
        f"bare {median(bare_ms):.1f} ms + decode {median(decode_ms):.1f} ms",
        f"{overhead:+.1f} ms",
        f"<= {TARGET_MS:.0f} ms",
        overhead <= TARGET_MS,
    )
