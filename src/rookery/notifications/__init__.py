"""Bucket notifications: what a file wants, what a bucket has, and the way from one to the other."""
