"""Which rhp is measured: the tree's, linked with the system's OpenSSL, or the wheel's, which carries a newer one.

`RHP_OPENSSL` says it, as it says to setup.py what to build: "system" or "static". The figures of the wheel stand in
files of their own.
"""

import os

STATIC = os.environ.get("RHP_OPENSSL") == "static"
FOLDER = "build/bench/static" if STATIC else "build/bench/system"
"""Where what is compiled for this benchmark lies, from the root of the tree."""


def file(name: str) -> str:
    """The name of the file of figures: "path", or "path-wheel"."""
    return f"{name}-wheel" if STATIC else name
