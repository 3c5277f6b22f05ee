"""What a model is: its card, its files and where they come from."""
