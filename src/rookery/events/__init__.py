"""What happened, as plain values: CloudEvents, object-created facts, results, identities."""
