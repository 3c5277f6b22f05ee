from rookery.events.broker.clock import Clock


def test_counts_from_the_wall_clock_by_the_monotonic_one():
    monotonic = iter([10.0, 15.0])
    clock = Clock(wall=lambda: 1000.0, monotonic=lambda: next(monotonic))
    assert clock.now() == 1005.0


def test_a_wall_clock_that_is_set_back_changes_nothing():
    wall, monotonic = [1000.0], [10.0]
    clock = Clock(wall=lambda: wall[0], monotonic=lambda: monotonic[0])
    wall[0], monotonic[0] = 0.0, 11.0
    assert clock.now() == 1001.0


def test_the_wall_clock_is_told_as_it_is():
    wall = iter([1000.0, 500.0])
    clock = Clock(wall=lambda: next(wall), monotonic=lambda: 1.0)
    assert clock.wall() == 500.0
