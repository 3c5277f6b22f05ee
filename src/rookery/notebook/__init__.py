"""Models as Python functions, for notebooks and scripts."""
