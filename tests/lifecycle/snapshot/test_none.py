from rookery.lifecycle.snapshot.none import NoSnapshots


def test_nothing_is_waited_for():
    assert NoSnapshots().wait() is None


def test_nothing_is_reported():
    assert NoSnapshots().report("refused") is None
