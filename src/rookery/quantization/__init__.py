"""From a model in fp32 to the same in int8, calibrated and judged on a user's images."""
