"""What every NotificationQueue keeps: one suite, run on each adapter."""

import threading


def receive_all(queue, count):
    """Receive until *count* messages came; the suite's timeout ends a wait for ever."""
    found = []
    while len(found) < count:
        found += queue.receive()
    return found


def test_an_empty_queue_answers_with_nothing(queues):
    assert queues.queue.receive() == ()


def test_lends_what_was_sent(queues):
    queues.send('{"key": "é"}')

    (message,) = queues.queue.receive()

    assert message.body == '{"key": "é"}'


def test_lends_ten_messages_at_most(queues):
    for n in range(11):
        queues.send(str(n))

    assert len(queues.queue.receive()) == 10


def test_a_waiting_receive_ends_when_a_message_comes(queues):
    sender = threading.Timer(0.1, queues.send, ["late"])
    sender.start()

    messages = receive_all(queues.queue, 1)

    sender.join()
    assert [m.body for m in messages] == ["late"]


def test_a_message_on_loan_is_not_lent_again(queues):
    queues.send("once")
    queues.queue.postpone(queues.queue.receive()[0], 60)

    assert queues.queue.receive() == ()


def test_a_message_not_deleted_is_lent_again(queues):
    queues.send("kept")

    first, again = receive_all(queues.queue, 2)

    assert (again.id, again.receives) == (first.id, 2)


def test_a_deleted_message_is_gone(queues):
    for n in range(3):
        queues.send(str(n))
    queues.queue.delete(receive_all(queues.queue, 3))

    assert queues.queue.receive() == ()


def test_a_postponed_message_comes_back(queues):
    queues.send("later")
    (message,) = queues.queue.receive()
    queues.queue.postpone(message, 60)
    queues.queue.postpone(message, 0)

    assert [m.id for m in receive_all(queues.queue, 1)] == [message.id]
