"""The keeper of long-term secrets and privileged operations, reached through one narrow interface."""
