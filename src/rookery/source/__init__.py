"""Sources: what turns a notification queue into CloudEvents for a sink."""
