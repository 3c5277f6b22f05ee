"""Where result events go."""
