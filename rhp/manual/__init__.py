"""What the reference pages are made of: the tables of docs/configuration.md and the man pages; see `make docs`.

A setting's text stands in `texts`, its type and default in the model of rhp.config, a command's text in its `--help`.
Nothing here runs in a node.
"""
