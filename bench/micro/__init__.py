"""Microbenchmarks: what `rhp._fast` makes of each packet, as a share of the bare library calls under it."""
