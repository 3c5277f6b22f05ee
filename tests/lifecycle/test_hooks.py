import threading

import pytest
from snapshot_restore_py import get_after_restore, register_after_restore, register_before_snapshot

from rookery.errors import HookFailed
from rookery.lifecycle.hooks import run_after_restore, run_before_snapshot

pytestmark = pytest.mark.usefixtures("no_hooks")


def test_before_hooks_run_in_reverse_order_of_registration():
    ran = []
    for name in "abc":
        register_before_snapshot(ran.append, name)
    run_before_snapshot()
    assert ran == ["c", "b", "a"]


def test_before_hooks_run_once():
    ran = []
    register_before_snapshot(ran.append, "once")
    run_before_snapshot()
    run_before_snapshot()
    assert ran == ["once"]


def test_after_hooks_run_in_order_of_registration():
    ran = []
    for name in "abc":
        register_after_restore(ran.append, name)
    run_after_restore(10)
    assert ran == ["a", "b", "c"]


def test_a_function_registered_twice_runs_twice():
    ran = []
    register_after_restore(ran.append, "again")
    register_after_restore(ran.append, "again")
    run_after_restore(10)
    assert ran == ["again", "again"]


def test_hooks_get_the_arguments_they_were_registered_with():
    got = []
    register_after_restore(lambda *args, **kwargs: got.append((args, kwargs)), 1, two=2)
    run_after_restore(10)
    assert got == [((1,), {"two": 2})]


def test_a_decorated_function_is_a_hook():
    ran = []

    @register_after_restore
    def reconnect():
        ran.append("reconnected")

    run_after_restore(10)
    assert ran == ["reconnected"]


def test_a_hook_registered_by_a_hook_waits_for_the_next_restore():
    register_after_restore(register_after_restore, print)
    run_after_restore(10)
    assert [entry[0] for entry in get_after_restore()] == [register_after_restore, print]


def broken():
    raise ConnectionError("no route to the vault")


def leaving():
    raise SystemExit(0)


@pytest.mark.parametrize("hook", [broken, leaving])
@pytest.mark.parametrize(
    ("register", "run", "when"),
    [
        (register_before_snapshot, run_before_snapshot, "before the snapshot"),
        (register_after_restore, lambda: run_after_restore(10), "after the restore"),
    ],
)
def test_a_hook_that_raises_is_named_with_its_reason(hook, register, run, when):
    register(hook)
    with pytest.raises(HookFailed) as caught:
        run()
    assert hook.__qualname__ in str(caught.value)
    assert when in str(caught.value)
    assert type(caught.value.__cause__) in (ConnectionError, SystemExit)


def test_what_the_hook_said_is_in_the_message():
    register_after_restore(broken)
    with pytest.raises(HookFailed, match="ConnectionError: no route to the vault"):
        run_after_restore(10)


def test_no_hook_runs_after_one_that_failed():
    ran = []
    register_after_restore(broken)
    register_after_restore(ran.append, "too late")
    with pytest.raises(HookFailed):
        run_after_restore(10)
    assert ran == []


def test_a_hook_without_a_name_is_shown_as_it_is():
    class Hook:
        def __repr__(self):
            return "<the hook>"

        def __call__(self):
            raise ValueError

    register_after_restore(Hook())
    with pytest.raises(HookFailed, match="<the hook>"):
        run_after_restore(10)


def test_a_hook_that_hangs_is_named_and_left_behind():
    release, ran = threading.Event(), []

    def hangs():
        release.wait()

    register_after_restore(hangs)
    register_after_restore(ran.append, "too late")
    try:
        with pytest.raises(HookFailed, match=r"hangs.*ROOKERY_HOOK_SECONDS"):
            run_after_restore(0.01)
    finally:
        release.set()
    for thread in threading.enumerate():
        if thread.name == "rookery-after-restore":
            thread.join(10)
    assert ran == []


def test_time_is_for_all_hooks_together():
    release = threading.Event()
    register_after_restore(lambda: None)
    register_after_restore(release.wait)
    try:
        with pytest.raises(HookFailed, match="wait"):
            run_after_restore(0.05)
    finally:
        release.set()


def test_without_hooks_nothing_happens():
    run_before_snapshot()
    run_after_restore(10)
