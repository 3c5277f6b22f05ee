"""Dedup windows that several processes share, and that survive them."""
