"""Speed between two namespaces: rhp, other programs and the bare cable, in the same run."""
