"""The life of a function: load, warm, snapshot point, connect, serve, drain."""
