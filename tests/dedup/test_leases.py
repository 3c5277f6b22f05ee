import logging
import threading

import pytest

from rookery.dedup.leases import MAX_RESULT_BYTES, SharedWindow
from rookery.dedup.ledger import Standing
from rookery.errors import DedupUnavailable, ImageUndecodable


class ScriptedLedger:
    """Remembers what it was asked; down while told so."""

    def __init__(self):
        self.down = False
        self.down_to_settle = False
        self.claims = []
        self.settled = []
        self.results = {}
        self.held = False
        self.closed = False

    def claim(self, key):
        if self.down:
            raise DedupUnavailable("no connection")
        self.claims.append(key)
        return self.results.get(key, Standing.HELD if self.held else Standing.MINE)

    def settle(self, key, result):
        if self.down or self.down_to_settle:
            raise DedupUnavailable("no connection")
        self.settled.append((key, result))
        if result is not None:
            self.results[key] = result

    def close(self):
        self.closed = True


@pytest.fixture
def ledger():
    return ScriptedLedger()


@pytest.fixture
def skipped():
    return []


@pytest.fixture
def window(ledger, skipped):
    opened = SharedWindow(
        ledger, name="somewhere", scope="s", on_skipped=lambda: skipped.append(None)
    )
    yield opened
    opened.close()


def rested(window):
    """Let the window's rest after a failure be over."""
    window._rests_until = 0.0


def test_keys_are_those_of_the_scope(window, ledger, made):
    window.run("k", made)
    assert ledger.claims == ["s:k"]


def test_without_the_store_events_are_computed_and_counted(window, ledger, skipped, made):
    ledger.down = True
    assert window.run("k", made) == (made(), False)
    assert window.run("k", made) == (made(), False)
    assert len(skipped) == 2


def test_a_store_that_has_just_failed_is_left_alone_for_a_while(window, ledger, made):
    ledger.down = True
    window.run("k", made)
    ledger.down = False
    window.run("k", made)
    assert ledger.claims == []
    rested(window)
    window.run("k", made)
    assert ledger.claims == ["s:k"]


def test_the_log_says_once_that_it_is_down_and_once_that_it_is_back(window, ledger, made, caplog):
    with caplog.at_level(logging.INFO, "rookery"):
        ledger.down = True
        for _ in range(3):
            rested(window)
            window.run("k", made)
        ledger.down = False
        for _ in range(3):
            rested(window)
            window.run("k", made)
    down, up = [record.message for record in caplog.records if "somewhere" in record.message]
    assert "unavailable" in down
    assert "no connection" in down
    assert "is back" in up


def test_a_result_that_cannot_be_kept_is_not_lost(window, ledger, skipped, made):
    ledger.down_to_settle = True
    assert window.run("k", made) == (made(), False)
    assert skipped == []


def test_the_failure_of_a_computation_is_not_hidden_by_one_of_the_store(window, ledger):
    def broken():
        ledger.down = True
        raise ImageUndecodable("broken")

    with pytest.raises(ImageUndecodable):
        window.run("k", broken)


def test_a_failed_computation_gives_up_its_claim(window, ledger):
    def broken():
        raise ImageUndecodable("broken")

    with pytest.raises(ImageUndecodable):
        window.run("k", broken)
    assert ledger.settled == [("s:k", None)]


def test_a_result_that_is_too_long_is_not_kept(window, ledger, made):
    window.run("k", lambda: made(data=b"1" * MAX_RESULT_BYTES))
    assert ledger.settled == [("s:k", None)]


@pytest.mark.parametrize("written", [b"", b"{}", b"\xff", b'{"specversion":"1.0"}', b"[]"])
def test_what_cannot_be_read_is_computed_again(window, ledger, made, written):
    ledger.results["s:k"] = written
    assert window.run("k", made) == (made(), False)
    assert window.run("k", made) == (made(), True)


def test_a_claim_is_renewed_while_the_work_goes_on_and_not_after(ledger, made, wait_until):
    window = SharedWindow(ledger, name="somewhere", scope="s", lease_seconds=0.03)

    def work():
        wait_until(lambda: len(ledger.claims) > 3, "three renewals")
        return made()

    window.run("k", work)
    after = len(ledger.claims)
    window.run("other", lambda: wait_until(lambda: "s:other" in ledger.claims[after + 1 :], "one"))
    assert "s:k" not in ledger.claims[after:]
    window.close()


def test_a_renewal_that_fails_does_not_harm_the_work(ledger, made, wait_until):
    window = SharedWindow(ledger, name="somewhere", scope="s", lease_seconds=0.03)

    def work():
        ledger.down = True
        wait_until(lambda: window._rests_until > 0, "a renewal that failed")
        return made()

    assert window.run("k", work) == (made(), False)
    window.close()


def test_nobody_waits_for_ever(window, ledger, made):
    ledger.held = True
    window._longest_wait = 0.05
    assert window.run("k", made) == (made(), False)
    assert len(ledger.claims) > 1


def test_closing_ends_the_waits(ledger, made):
    window = SharedWindow(ledger, name="somewhere", scope="s")
    ledger.held = True
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(window.run("k", made)))
    waiting.start()
    window.close()
    waiting.join(30)
    assert answers == [(made(), False)]
    assert ledger.closed
