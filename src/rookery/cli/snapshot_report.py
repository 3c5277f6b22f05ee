"""`rookery snapshot check` and `inspect`: what can be done here, and what a snapshot holds."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from rookery.cli.endings import ending_in_order
from rookery.errors import (
    CriuMissing,
    Misconfigured,
    RookeryError,
    SnapshotFailed,
    SnapshotInvalid,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rookery.snapshots.manifest import Manifest
    from rookery.snapshots.support import Finding

_COLORS: Final = {"ok": "green", "missing": "red", "note": "yellow", "differs": "red"}
_STATE_WIDTH: Final = 9
_NAME_WIDTH: Final = 16
_MEGABYTE: Final = 1_000_000

_SHOWN: Final = ("function", "folder", "made", "frozen", "facts", "sizes", "files")

_READABLE: Final = ("python", "kernel")

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")


@click.command(
    short_help="Say whether snapshots can be made here.",
    epilog="""\b
Examples:
  rookery snapshot check
  rookery snapshot check --json
  ROOKERY_CRIU=/opt/criu/sbin/criu rookery snapshot check
""",
)
@_as_json
@ending_in_order()
def check(*, as_json: bool) -> None:
    """Say whether snapshots can be made and woken here, and what to do where they cannot.

    Looks at the kernel, CRIU and this process's privileges, and then makes and wakes a snapshot of
    a tiny process: what that comes to decides. Ends with 0 where it works, with 78 where
    something is missing, and with 69 where it fails for another reason.
    """
    from rookery.snapshots.machine import look
    from rookery.snapshots.support import judge

    machine = look(os.environ, Path.cwd())
    findings = judge(machine)
    trial = _try_it(machine.program)
    works = trial.state == "ok"
    if works:
        findings = [_overruled(finding) for finding in findings]
    findings.append(trial)
    if as_json:
        document = {"works": works, "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for finding in findings:
            _print_finding(finding)
    if not works:
        *missing, _ = [finding.name for finding in findings if finding.state == "missing"]
        if missing:
            raise Misconfigured(f"snapshots cannot be made here; missing: {', '.join(missing)}")
        raise SnapshotFailed(f"snapshots cannot be made here: {trial.said}")


def _try_it(program: str) -> "Finding":
    from rookery.snapshots.support import Finding
    from rookery.snapshots.trial import attempt

    if not program:
        return Finding("trial", "missing", "not made, for want of CRIU")
    said: list[str] = []
    try:
        attempt(program, on_line=said.append)
    except RookeryError as exc:
        return Finding("trial", "missing", "; ".join([*said, str(exc)]))
    return Finding("trial", "ok", "a tiny process was snapshotted and woken: it works here")


def _overruled(finding: "Finding") -> "Finding":
    """Return what a trial that worked makes of *finding*."""
    if finding.state != "missing":
        return finding
    return replace(finding, state="note", said=f"{finding.said}; the trial worked all the same")


def _print_finding(finding: "Finding") -> None:
    _print_line(finding.state, finding.name, finding.said)
    if finding.todo:
        click.echo(f"{'':{_STATE_WIDTH + _NAME_WIDTH}}-> {finding.todo}")


def _print_line(state: str, name: str, said: str) -> None:
    click.secho(f"{state:{_STATE_WIDTH}}", fg=_COLORS.get(state), nl=False)
    click.echo(f"{name:{_NAME_WIDTH}}{said}")


@click.command(
    short_help="Say what a snapshot holds, and whether it fits.",
    epilog="""\b
Examples:
  rookery snapshot inspect snapshot/
  rookery snapshot inspect snapshot/ --no-verify --json
""",
)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--verify/--no-verify", default=True, show_default=True, help="Check every file's checksum."
)
@_as_json
def inspect(*, directory: Path, verify: bool, as_json: bool) -> None:
    """Say what the snapshot in DIRECTORY holds, and whether it fits here.

    Its key must be here as it was where the snapshot was made. Ends with 0 for a whole snapshot,
    whether it fits or not, and with 78 for a damaged one or none.
    """
    from rookery.snapshots import manifest
    from rookery.snapshots.facts import differences

    described = manifest.read(str(directory))
    damage = _damage(directory, described) if verify else None
    now = _facts_here()
    changed = {
        name: phrase
        for name in described.facts
        for phrase in differences(_only(name, described.facts), _only(name, now))
    }
    if as_json:
        document = {
            "directory": str(directory),
            **{name: getattr(described, name) for name in _SHOWN},
            "threads": _threads(described),
            "fits": not changed and damage is None,
            "changed": changed,
            "verified": verify,
            "damage": damage and str(damage),
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _print_contents(directory, described)
        for name, value in described.facts.items():
            _print_line(*_fact_line(name, value, changed.get(name)))
        _print_verdict(fits=not changed, verified=verify, damaged=damage is not None)
    if damage is not None:
        raise damage


def _only(name: str, facts: "Mapping[str, str]") -> dict[str, str]:
    return {name: facts[name]} if name in facts else {}


def _facts_here() -> dict[str, str]:
    from rookery.snapshots import criu
    from rookery.snapshots.facts import facts

    try:
        program = criu.find_in(os.environ)
    except CriuMissing:
        program = ""
    return facts(program)


def _damage(directory: Path, described: "Manifest") -> SnapshotInvalid | None:
    from rookery.snapshots import manifest

    try:
        manifest.verify_small(str(directory), described)
        manifest.verify_big(str(directory), described)
    except SnapshotInvalid as exc:
        return exc
    return None


def _threads(described: "Manifest") -> int:
    """Count the images of threads' registers: there is one for each."""
    return sum(name.startswith("core-") for name in described.files)


def _print_contents(directory: Path, described: "Manifest") -> None:
    sizes = described.sizes
    rows = {
        "function": f"{described.function}, {described.folder}",
        "made": described.made,
        **described.frozen,
        "memory": f"{megabytes(sizes['mapped'])} mapped when it wakes, "
        f"{megabytes(sizes['copied'])} copied",
        "threads": str(_threads(described)),
        "files": f"{len(described.files)}, "
        f"{megabytes(sum(size for size, _ in described.files.values()))}",
    }
    click.secho(str(directory), bold=True)
    width = max(map(len, rows)) + 2
    for name, value in rows.items():
        click.echo(f"  {name:{width}}{value or '(by default)'}")
    click.echo("what it was made with")


def _fact_line(name: str, value: str, changed: str | None) -> tuple[str, str, str]:
    words = value.split()
    if changed is not None:
        return "differs", name, changed
    if name == "libraries":
        return "ok", name, f"the same {len(words)}"
    if name == "cpu":
        return "ok", name, f"{words[0]} with the same {len(words) - 1} features"
    return "ok", name, value if name in _READABLE else "the same"


def _print_verdict(*, fits: bool, verified: bool, damaged: bool) -> None:
    if damaged:
        return
    files = "whole" if verified else "not checked"
    if fits:
        click.echo(f"files: {files}; it fits here")
    else:
        click.echo(f"files: {files}; it does not fit here: `serve` boots normally, `run` refuses")


def megabytes(count: int) -> str:
    """Write *count* bytes for people."""
    return f"{count / _MEGABYTE:.1f} MB"
