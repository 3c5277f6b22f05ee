"""After a failed attempt: try again, hand over to the dead letter sink, or keep as dead letter."""

from rookery.events.broker.changes import Postpone
from rookery.events.broker.database import DEAD, DEAD_LETTERING, PENDING
from rookery.events.broker.deadletter import DATA_BYTES
from rookery.events.broker.outcome import Failed
from rookery.events.broker.reading import Item
from rookery.events.broker.trigger import Trigger


def after_failure(trigger: Trigger, item: Item, state: int, failed: Failed, now: float) -> Postpone:
    """Decide what becomes of *item*, whose attempt in *state* has *failed* just *now*."""
    attempts = item.attempts + 1
    again = failed.retry and attempts <= trigger.delivery.retry
    wait = trigger.delivery.backoff.wait(attempts, failed.retry_after)
    if state == PENDING:
        code, reason = failed.code, failed.reason
        answer = failed.body[:DATA_BYTES]
        if not again:
            reason = f"{reason} ({attempts} {'attempt' if attempts == 1 else 'attempts'})"
            state = DEAD if trigger.delivery.dead_letter is None else DEAD_LETTERING
            # A dead letter tells how often it was tried; its sink is tried from the start.
            attempts, wait = (attempts if state == DEAD else 0), 0.0
    else:  # what the subscriber said stays, whatever the sink says
        code, reason, answer = item.code, item.reason, item.answer
        if not again:
            reason = f"{reason}; the dead letter sink {failed.reason} ({attempts} attempts)"
            state, wait = DEAD, 0.0
    return Postpone(
        trigger=trigger.name,
        offset=item.offset,
        state=state,
        attempts=attempts,
        next_at=now + wait,
        code=code,
        reason=reason,
        answer=answer,
    )
