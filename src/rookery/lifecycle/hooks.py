"""The hooks of `snapshot-restore-py`: before a snapshot in reverse order, after a restore in order.

AWS's names and order, so a hook written for SnapStart runs here as it is. Whoever registers, a
user's module or we ourselves, registers the same way.
"""

import logging
import threading
from collections.abc import Callable
from time import perf_counter
from typing import Final, TypeAlias, cast

from snapshot_restore_py import get_after_restore, get_before_snapshot

from rookery.errors import HookFailed

_log = logging.getLogger(__name__)

# What the library's registries really hold; its own annotation says `Callable`.
_Hook: TypeAlias = tuple[Callable[..., object], tuple[object, ...], dict[str, object]]

_SLOW_SECONDS: Final = 1.0


def run_before_snapshot() -> None:
    """Run what `register_before_snapshot` was given, the last first, each once.

    Unbounded in time: priming caches here is what the hook is for.

    Raises:
        HookFailed: one raised; those not yet run stay registered.
    """
    hooks = _registered(get_before_snapshot())
    while hooks:
        _run(hooks.pop(), "before the snapshot")


def run_after_restore(seconds: float) -> None:
    """Run what `register_after_restore` was given, in order, *seconds* for all of them together.

    They run in a thread of their own, because nothing else ends a wait for one that hangs: that
    thread is left behind, and the process must not serve.

    Raises:
        HookFailed: one raised, or did not return in time.
    """
    run = _Run(_registered(get_after_restore()))
    thread = threading.Thread(target=run, name="rookery-after-restore", daemon=True)
    thread.start()
    thread.join(seconds)
    if run.failure is not None:
        raise run.failure
    if not run.done:
        run.abandoned = True
        raise HookFailed(
            f"the hook {run.current} (after the restore) was still running when the {seconds:g} s "
            "for all such hooks were over; make it faster, or make the snapshot with a higher "
            "ROOKERY_HOOK_SECONDS"
        )


class _Run:
    """One run of the after-restore hooks, watched from another thread."""

    def __init__(self, hooks: list[_Hook]) -> None:
        # A copy: a hook that registers another must not prolong a run that is being timed.
        self._hooks = tuple(hooks)
        self.current = "(none)"
        self.failure: HookFailed | None = None
        self.done = False
        self.abandoned = False

    def __call__(self) -> None:
        try:
            for hook in self._hooks:
                if self.abandoned:
                    return
                self.current = _name(hook)
                _run(hook, "after the restore")
        except HookFailed as failure:
            self.failure = failure
        self.done = True


def _registered(registry: object) -> list[_Hook]:
    return cast("list[_Hook]", registry)


def _run(hook: _Hook, when: str) -> None:
    function, arguments, keywords = hook
    started = perf_counter()
    try:
        function(*arguments, **keywords)
    # Somebody else's code, and SystemExit in a thread would pass for success.
    except (Exception, SystemExit) as exc:
        raise HookFailed(
            f"the hook {_name(hook)} ({when}) raised {type(exc).__name__}: {exc}"
        ) from exc
    seconds = perf_counter() - started
    if seconds > _SLOW_SECONDS:
        _log.warning("the hook %s (%s) took %.1f s", _name(hook), when, seconds)


def _name(hook: _Hook) -> str:
    function = hook[0]
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    return f"{module}.{name}" if module and name else repr(function)
