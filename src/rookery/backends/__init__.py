"""What turns a batch of pixels into outputs."""
