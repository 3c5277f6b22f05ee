"""Reconciling: what a bucket holds against what has a result, and an event for the difference."""
