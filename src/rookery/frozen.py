"""What a snapshot fixes: the settings and the files that a warmed function was made from.

A clone compares its own with those it was made with; the rest it reads anew.
"""

import re
from collections.abc import Mapping
from typing import Final

from rookery.events.identity import digest
from rookery.function_folder import FunctionFolder
from rookery.lifecycle.snapshot.footprint import MMAP_MAX
from rookery.models.card import dump
from rookery.models.repository import Repository
from rookery.settings import SECRET_VARIABLES, Settings
from rookery.snapshots.facts import function_digest

_FIXED: Final = {
    "ROOKERY_BACKEND": "backend",
    "ROOKERY_THREADS": "threads",
    "ROOKERY_PERFORMANCE": "performance",
    "ROOKERY_PIN_THREADS": "pin_threads",
    "ROOKERY_TOP_K": "top_k",
    "ROOKERY_CONCURRENCY": "concurrency",
    "ROOKERY_QUEUE": "queue",
    "ROOKERY_MAX_BODY_BYTES": "max_body_bytes",
    "ROOKERY_MAX_PIXELS": "max_pixels",
    "ROOKERY_FORMATS": "formats",
    "ROOKERY_STARTUP_SECONDS": "startup_seconds",
}

# What a donor may know of the environment it is started from, beside the settings above; no
# secret has any of these names.
_HARMLESS: Final = frozenset(
    {"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "USER"}
)
# Libraries that compute read these when they are loaded.
_COMPUTING_PREFIXES: Final = (
    "TF_", "XLA_", "ITEX_", "OMP_", "KMP_", "ONEDNN_", "OV_", "OPENVINO_", "OPENCV_", "OPENBLAS_",
    "MKL_", "CUDA_", "NVIDIA_",
)  # fmt: skip
_HARMLESS_PREFIXES: Final = (
    "LC_", "PYTHON", "GLIBC_", "MALLOC_", "COVERAGE_", "COV_", *_COMPUTING_PREFIXES,
)  # fmt: skip

# What has a harmless prefix is none the less no business of a donor: TF_VAR_… is Terraform's.
_SUSPICIOUS: Final = re.compile("TF_VAR_|TOKEN|SECRET|PASS|CREDENTIAL|KEY", re.IGNORECASE)

# glibc's other way to set MALLOC_MMAP_MAX_, which wins over it.
_TUNABLES: Final = "GLIBC_TUNABLES"
_MMAP_MAX_TUNABLE: Final = re.compile(r"glibc\.malloc\.mmap_max=[^:]*:?")

# Of the tools around us; ours are SECRET_VARIABLES.
_KNOWN_SECRETS: Final = frozenset(
    {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"}
)


def frozen(settings: Settings, folder: FunctionFolder) -> dict[str, str]:
    """Return what is fixed once *settings* and *folder* have been warmed, by name.

    Raises:
        ModelNotFound, ModelInvalid: the model cannot be used.
    """
    card = Repository(settings.home / "models").find(settings.model).card
    fixed = {name: _text(getattr(settings, field)) for name, field in _FIXED.items()}
    return {
        "function": f"{folder.name} ({function_digest(str(folder.path))[:16]})",
        "model": f"{card.name}/{card.version} ({digest(dump(card))[:16]})",
        **fixed,
    }


def computing(environ: Mapping[str, str]) -> dict[str, str]:
    """Return those variables of *environ* by which libraries compute; they are fixed, too."""
    return {
        name: value
        for name, value in environ.items()
        if value and name.startswith(_COMPUTING_PREFIXES) and not _SUSPICIOUS.search(name)
    }


def variables(fixed: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that leads to what is *fixed* in a snapshot."""
    model = fixed.get("model", "").partition(" ")[0]
    return {name: value for name, value in fixed.items() if name.isupper()} | (
        {"ROOKERY_MODEL": model} if model else {}
    )


def literal_secrets(folder: FunctionFolder) -> dict[str, str]:
    """Return what func.yaml says in plain text and by its name is a secret: a donor reads it."""
    return {name: value for name, value in folder.envs.items() if _SUSPICIOUS.search(name)}


def changes(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Say what differs between what was frozen *then* and what is *now*."""
    return [
        f"{name} is {now.get(name) or 'unset'}, it was {then.get(name) or 'unset'}"
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name)
    ]


def donor_environment(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return what the donor's environment may hold of *environ*: an allow-list, and no secret."""
    kept = {
        name: value
        for name, value in environ.items()
        if name in _HARMLESS
        or (name.startswith(_HARMLESS_PREFIXES) and not _SUSPICIOUS.search(name))
    }
    if _TUNABLES in kept:
        kept[_TUNABLES] = _MMAP_MAX_TUNABLE.sub("", kept[_TUNABLES])
    compiled = settings.compiled_models()
    return kept | {
        MMAP_MAX: "0",  # a clone allows them again
        "ROOKERY_HOME": str(settings.home.absolute()),
        "ROOKERY_MODEL": settings.model,
        "ROOKERY_MODEL_CACHE": "off" if compiled is None else str(compiled.absolute()),
        "ROOKERY_HOOK_SECONDS": str(settings.hook_seconds),
        "ROOKERY_SNAPSHOT": "criu",  # whatever func.yaml says
        # Empty where it is unset, so that func.yaml does not set it.
        **{name: _text(getattr(settings, field)) for name, field in _FIXED.items()},
    }


def secrets_in(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of *environ* that must be in no snapshot."""
    return {
        name: value
        for name, value in environ.items()
        if value and name in _KNOWN_SECRETS | SECRET_VARIABLES and not _is_local(name, value)
    }


def _is_local(name: str, value: str) -> bool:
    """Whether *value* names a dedup window that no password can be in."""
    return name == "ROOKERY_DEDUP" and "://" not in value


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
