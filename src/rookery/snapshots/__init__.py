"""Snapshot directories, seen from outside: made, described, checked, laid out and woken."""
