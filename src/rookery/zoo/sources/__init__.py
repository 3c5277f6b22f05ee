"""The files in which users bring their own models, one module for each kind."""
