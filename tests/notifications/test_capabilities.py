import pytest

from rookery.notifications.capabilities import RELEASES, of_ceph

OLD = {"EndpointArgs": "", "Persistent": "true"}
NEW = OLD | {"TimeToLive": "None"}


@pytest.mark.parametrize(
    ("server", "topics", "store", "limits", "cloudevents"),
    [
        (None, [], "Ceph", None, None),
        (None, [OLD], "Ceph 16 or 17", False, None),
        (None, [OLD, NEW], "Ceph 19 or newer", True, True),
        ("nginx", [OLD], "Ceph 16 or 17", False, None),
        ("Ceph Object Gateway (reef)", [], "Ceph 18 (reef)", False, True),
        ("Ceph Object Gateway (squid)", [OLD], "Ceph 19 (squid)", True, True),
        ("Ceph Object Gateway (tentacle)", [], "Ceph 20 (tentacle)", True, True),
        ("Ceph Object Gateway (umbrella)", [], "Ceph (umbrella)", True, True),
    ],
)
def test_the_release_is_told_by_what_there_is(server, topics, store, limits, cloudevents):
    found = of_ceph(server, topics)
    assert (found.store, found.limits, found.cloudevents) == (store, limits, cloudevents)


@pytest.mark.parametrize("name", RELEASES)
def test_every_release_pushes(name):
    assert of_ceph(f"Ceph Object Gateway ({name})", []).push
