from rookery.serving.limits import BYTES_PER_SECOND, Pace, Waiting, dispensable


def test_who_is_fast_enough_is_never_behind():
    pace = Pace(0.0)
    for second in range(1, 1000):
        pace.moved(BYTES_PER_SECOND, float(second))
    assert pace.behind(999.0) == 0


def test_who_is_half_as_fast_is_behind_half_of_the_time():
    pace = Pace(0.0)
    for second in range(1, 101):
        pace.moved(BYTES_PER_SECOND // 2, float(second))
    assert pace.behind(100.0) == 50


def test_being_fast_at_first_earns_no_time():
    pace = Pace(0.0)
    pace.moved(1000 * BYTES_PER_SECOND, 1.0)
    assert pace.behind(11.0) == 10


def test_a_clock_that_other_threads_have_read_later_is_no_time_to_come():
    assert Pace(5.0).behind(4.0) == 0


def test_the_client_that_has_most_gives_way_first():
    waiting = [("patient", Waiting("b", 100.0))] + [
        (str(number), Waiting("a", float(number))) for number in range(1, 4)
    ]
    assert dispensable(waiting, 2) == ["3", "2"]


def test_what_is_answered_goes_before_what_is_half_sent():
    waiting = [
        ("sending", Waiting("a", 9.0)),
        ("idle", Waiting("a", 1.0, answered=True)),
        ("slow", Waiting("a", 2.0)),
    ]
    assert dispensable(waiting, 3) == ["idle", "sending", "slow"]


def test_whoever_is_new_or_keeps_pace_stays():
    waiting = [("new", Waiting("a", 0.1, answered=True)), ("fast", Waiting("a", 0.0))]
    assert dispensable(waiting, 2) == []


def test_no_more_than_there_are():
    assert dispensable([("one", Waiting("a", 1.0))], 50) == ["one"]
    assert dispensable([], 1) == []
