"""Runs in the environment of Intel's extension: python itex_program.py MODEL FOLDER."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from rookery.backends.options import Options
from rookery.backends.registry import create_backend
from rookery.errors import BackendFailed
from rookery.models.card import parse_card


def tell(model, batch):
    batches = [batch[: 1 + index % len(batch)] * (index / 32) for index in range(32)]
    with ThreadPoolExecutor(8) as pool:
        together = [answer["scores"] for answer in pool.map(model, batches)]
    try:
        model(batch[:1].swapaxes(1, 2).copy())
        refusal = ""
    except BackendFailed as exc:
        refusal = str(exc)
    return {
        "scores": model(batch)["scores"].tolist(),
        "together": np.concatenate(together).tolist(),
        "alone": np.concatenate([model(one)["scores"] for one in batches]).tolist(),
        "refusal": refusal,
    }


def main(directory, folder):
    batch = np.load(folder / "batch.npy")
    told = {}
    for text in json.loads((folder / "cards.json").read_text()):
        card = parse_card(text, "the card")
        model = create_backend("itex", Options(threads=2)).load(directory, card)
        told[card.format] = tell(model, batch)
    told["pool"] = os.environ["ITEX_OMP_THREADPOOL"]
    (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
