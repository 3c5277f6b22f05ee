"""How far a run has come, in a file that is there whole or not at all."""

import json
import os
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from rookery.errors import RequestInvalid
from rookery.reconcile.counts import Counts


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of one run.

    Attributes:
        job: what identifies the run: an interrupted one goes on only as the same.
        after: the last key that is dealt with.
        counts: what was seen and done so far.
        finished: whether the whole bucket was looked through.
        run: a name of this run's own, which it keeps when it is gone on with.
    """

    job: dict[str, str]
    after: str = ""
    counts: Counts = field(default_factory=Counts)
    finished: bool = False
    run: str = ""

    @classmethod
    def load(cls, file: Path, job: dict[str, str]) -> Self:
        """Return where to go on with *job*: the beginning, if it is new or was finished.

        Raises:
            RequestInvalid: *file* is another job's, or no checkpoint.
        """
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            found = cls(
                job=dict(document["job"]),
                after=str(document["after"]),
                counts=Counts(**document["counts"]),
                finished=bool(document["finished"]),
                run=str(document.get("run", "")),
            )
        except FileNotFoundError:
            return cls(job)
        except (OSError, ValueError, TypeError, KeyError) as exc:
            raise RequestInvalid(
                f"{file} is no checkpoint of rookery reconcile ({type(exc).__name__}: {exc}); "
                "remove it to begin anew"
            ) from exc
        if found.job != job:
            names = ", ".join(
                f"{name} was {found.job.get(name)!r} and is {value!r}"
                for name, value in job.items()
                if found.job.get(name) != value
            )
            raise RequestInvalid(
                f"{file} is the checkpoint of another run: {names}; give another --state, or "
                "remove the file to begin anew"
            )
        return cls(job) if found.finished else found

    def named(self) -> Self:
        """Return this, with a name where it has none yet."""
        return replace(self, run=self.run or uuid.uuid4().hex)

    def begin(self, file: Path) -> None:
        """Save this before anything is done: what cannot be saved is told in time.

        Raises:
            RequestInvalid: *file* cannot be written.
        """
        try:
            self.save(file)
        except OSError as exc:
            raise RequestInvalid(
                f"no checkpoint can be written to --state {file}: {exc.strerror or exc}; name a "
                "file in a folder that exists and that this user may write to"
            ) from exc

    def save(self, file: Path) -> None:
        """Write this to *file*, replacing what is there in one step."""
        incoming = file.with_name(f".{file.name}.incoming")
        with incoming.open("w", encoding="utf-8") as stream:
            json.dump(asdict(self), stream, indent=2)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        incoming.replace(file)
