"""The registries of hooks are global: each test that touches them starts with none."""

import pytest
from snapshot_restore_py import get_after_restore, get_before_snapshot


@pytest.fixture
def no_hooks():
    registries = get_before_snapshot(), get_after_restore()
    kept = [list(registry) for registry in registries]
    for registry in registries:
        registry.clear()
    yield
    for registry, entries in zip(registries, kept, strict=True):
        registry[:] = entries
