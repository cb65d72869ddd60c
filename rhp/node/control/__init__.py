"""The control socket: a Unix stream of JSON lines between the running node and its commands."""
