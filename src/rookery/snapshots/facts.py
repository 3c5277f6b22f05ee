"""The key of a snapshot: what must be the same where it is woken as where it was made.

Imported before a snapshot is woken, where every millisecond counts: nothing but `os`, `sys` and
xxhash. That a clone finds the very libraries that it had mapped, CRIU sees to itself.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping

import xxhash

# What native code asks for before it chooses one of its variants. Other flags say what a kernel
# or a hypervisor does, and differ between machines that compute alike.
_SELECTING = (
    "3dnow", "abm", "adx", "aes", "amx", "apx", "avx", "bmi", "clflushopt", "clwb", "cmov", "erms",
    "f16c", "fma", "fsgsbase", "fsrm", "fxsr", "gfni", "lahf_lm", "mmx", "movbe", "movdir",
    "ospke", "pclmul", "popcnt", "rdpid", "rdrand", "rdseed", "rdtscp", "rtm", "serialize", "sha",
    "sse", "ssse", "vaes", "vpclmul", "waitpkg", "xgetbv1", "xsave",
)  # fmt: skip
_IDENTITY = ("vendor_id", "cpu family", "model", "CPU implementer", "CPU architecture", "CPU part")

# Pictures are read when they are asked for; what people read changes nothing.
_PICTURES = "data/"
_UNREAD_SUFFIXES = (".md", ".pyc")

_LISTS = ("libraries", "cpu")
_PHRASES = {
    "code": "Rookery's own code has changed",
    "cpu": "the CPU is of another kind ({changes})",
    "criu": "CRIU is another program than the one that made it",
    "kernel": "the kernel was {then}, here it is {now}",
    "libraries": "other libraries are installed ({changes})",
    "python": "Python was {then}, here it is {now}",
}

_CHUNK = 1 << 16
_NAMED = 6  # more differences than these are counted, not listed


def facts(criu: str) -> dict[str, str]:
    """Return the key as it is here and now, *criu* being the program that is used.

    Takes some milliseconds, and never fails.
    """
    kernel, installed = os.uname(), [*_installed()]
    return {
        "python": f"{sys.implementation.name} {' '.join(sys.version.split())}",
        "libraries": " ".join(sorted(_libraries(installed))),
        "code": _digest(_code(installed)),
        "cpu": _cpu("/proc/cpuinfo"),
        "kernel": f"{kernel.sysname} {kernel.release} {kernel.machine}",
        "criu": _digest([("", criu)]),
    }


def function_digest(folder: str) -> str:
    """Return what changes with every file of the function in *folder* that it is made of."""
    return _digest(_files(folder, _is_read))


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Say in a phrase each what is not *now* as it was *then*, when the snapshot was made."""
    return [
        _difference(name, then.get(name, ""), now.get(name, ""))
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]


def _difference(name: str, then: str, now: str) -> str:
    changes = _changes(then, now) if name in _LISTS else ""
    phrase = _PHRASES.get(name, "{name} was {then}, here it is {now}")
    return phrase.format(name=name, then=then or "unknown", now=now or "unknown", changes=changes)


def _changes(then: str, now: str) -> str:
    """Say which words are only in one of the two."""
    before, after = then.split(), now.split()
    sides = (
        ("then", [word for word in before if word not in after]),
        ("now", [word for word in after if word not in before]),
    )
    return ", ".join(f"{when} {_some(words)}" for when, words in sides if words)


def _some(words: list[str]) -> str:
    rest = len(words) - _NAMED
    return " ".join(words[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _installed() -> Iterator[tuple[str, str]]:
    """Yield what says that something is installed, in each folder of the path: folder and name."""
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            if name.endswith(("-info", ".pth")):
                yield folder, name


def _libraries(installed: Iterable[tuple[str, str]]) -> set[str]:
    """Return `name-version` of every distribution that can be imported from."""
    parts = (name.rpartition(".") for _, name in installed)
    return {stem for stem, _, suffix in parts if suffix in {"dist-info", "egg-info"}}


def _code(installed: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the files of Rookery, and of whatever else is imported from where it is edited."""
    here = os.path.dirname(os.path.dirname(__file__))
    edited = sorted({*_edited(installed), *_named()})
    if os.path.dirname(here) not in edited:
        yield from _files(here, _is_code)
    for folder in edited:
        yield from _files(folder, _is_code)


def _edited(installed: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield what *.pth files add to the path: so pip installs what stays where it is edited."""
    for folder, name in installed:
        if name.endswith(".pth"):
            for line in _read(os.path.join(folder, name)).decode(errors="replace").splitlines():
                added = line.strip()
                if added and not added.startswith(("#", "import ")):
                    yield os.path.join(folder, added)


def _named() -> Iterator[str]:
    """Yield what PYTHONPATH adds; a donor works elsewhere, so what is relative it never finds."""
    for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        if os.path.isabs(folder):
            yield os.path.normpath(folder)


def _is_code(name: str) -> bool:
    return name.endswith(".py")


def _is_read(name: str) -> bool:
    if name.startswith(_PICTURES):
        return _is_code(name)
    return not name.endswith(_UNREAD_SUFFIXES)


def _files(
    folder: str,
    wanted: Callable[[str], bool],
    below: str = "",
    above: tuple[tuple[int, int], ...] = (),
) -> Iterator[tuple[str, str]]:
    """Yield name and path of each *wanted* file below *folder*, in the order of their names.

    *below* is the folder's own name in them, *above* are device and inode of the folders it is in:
    a link to one of those has no end.
    """
    try:
        found = os.stat(folder)
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    here = (found.st_dev, found.st_ino)
    if here in above:
        return
    for entry in entries:
        name = below + entry.name
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        if _is_folder(entry):
            yield from _files(entry.path, wanted, name + "/", (*above, here))
        elif wanted(name):
            yield name, entry.path


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _digest(files: Iterable[tuple[str, str]]) -> str:
    """Return the XXH3-128 of names and contents."""
    summed = xxhash.xxh3_128()
    for name, path in files:
        content = _read(path)
        summed.update(f"{name}\0{len(content)}\0".encode(errors="surrogateescape"))
        summed.update(content)
    return summed.hexdigest()


def _cpu(cpuinfo: str) -> str:
    """Return what the first CPU is, and those of its features that programs choose code by."""
    fields = {}
    for line in _read(cpuinfo, enough=b"\n\n").decode(errors="replace").split("\n"):
        if not line:
            break
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    identity = "/".join(fields[name] for name in _IDENTITY if name in fields)
    flags = [one for one in fields.get("flags", "").split() if one.startswith(_SELECTING)]
    # arm64 lists only what programs may use.
    return " ".join((identity, *sorted(flags), *sorted(fields.get("Features", "").split())))


def _read(path: str, *, enough: bytes | None = None) -> bytes:
    """Return the content up to *enough*; of a file that cannot be read, why: that differs, too."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as exc:
        return f"unreadable: {exc.errno}".encode()
    try:
        return _read_open(file, enough)
    except OSError as exc:
        return f"unreadable: {exc.errno}".encode()
    finally:
        os.close(file)


def _read_open(file: int, enough: bytes | None) -> bytes:
    parts = []
    while part := os.read(file, _CHUNK):
        parts.append(part)
        # A file on a disk is at its end after a short read; one of the kernel's may not be.
        if len(part) < _CHUNK if enough is None else enough in part:
            break
    return b"".join(parts)
