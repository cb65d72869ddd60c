"""Configuration: the TOML model, loading with every error at once, defaults with their reasons."""
