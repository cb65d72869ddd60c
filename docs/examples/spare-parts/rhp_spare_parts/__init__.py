"""One provider of every kind; docs/providers.md walks through them."""
