"""One file per task of an exchange; each has `build` and `process` and serves both roles."""
