"""One file per command of the `rhp` program."""
