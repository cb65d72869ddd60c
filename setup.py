"""The extension table of `rhp/_fast`; everything else stands in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup  # type: ignore[import-untyped]

# The limited API of CPython 3.11 gives one binary for every later version; it changes only the Python boundary.
LIMITED_API = "0x030B0000"
FAST = Path("rhp/_fast")
# Only these call libcrypto; a second one that linked it statically would not share objects with the first.
CRYPTO = {"dh", "evp"}


def extension(source: Path) -> Extension:
    return Extension(
        f"rhp._fast.{source.stem}",
        [str(source)],
        libraries=["crypto"] if source.stem in CRYPTO else [],
        define_macros=[("Py_LIMITED_API", LIMITED_API), ("OPENSSL_API_COMPAT", "0x30000000L"), ("_GNU_SOURCE", "1")],
        extra_compile_args=["-O3", "-pthread", "-fno-strict-aliasing", "-fvisibility=hidden"],
        extra_link_args=["-pthread"],
        py_limited_api=True,
    )


def selected() -> list[Path]:
    """Every module of `rhp/_fast`, or only those named in RHP_EXTENSIONS (comma-separated) while working on one."""
    names = [name for name in os.environ.get("RHP_EXTENSIONS", "").split(",") if name]
    sources = sorted(FAST.glob("*.pyx"))
    return [source for source in sources if not names or source.stem in names]


setup(
    ext_modules=cythonize(  # type: ignore[no-untyped-call]
        [extension(source) for source in selected()],
        build_dir="build/cython",
        # C declarations are cimported by their bare name, because `include` is a word of Cython's own.
        include_path=[".", str(FAST / "include")],
        compiler_directives={"language_level": "3", "boundscheck": False, "wraparound": False, "cdivision": True},
    ),
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
