"""The whole system on one machine: what `rookery up` runs, and how it keeps it running."""
