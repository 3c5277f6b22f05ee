"""From encoded bytes to the pixels a model takes, within limits."""
