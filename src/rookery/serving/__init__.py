"""HTTP: the application, its health, its answers, and the server that runs it."""
