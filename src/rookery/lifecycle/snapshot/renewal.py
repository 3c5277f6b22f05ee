"""What must not be the same in two clones of one snapshot, made anew in each."""


def register() -> None:
    """Register our own after-restore hooks, as a user registers theirs; before any of them."""
