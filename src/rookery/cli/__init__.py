"""The `rookery` command."""

from rookery.cli.root import main

__all__ = ["main"]
