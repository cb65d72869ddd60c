"""The built-in providers, which pyproject.toml registers as any other package registers its own."""
