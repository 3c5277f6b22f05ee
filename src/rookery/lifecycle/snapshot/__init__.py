"""Snapshot drivers behind one snapshot point."""
