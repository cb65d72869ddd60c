"""The service-provider interfaces: what others may put in the place of a part of rhp, found by entry point."""
