"""Compiles the timing loops. They stay out of the product: nobody who installs rhp needs them.

`python -m bench.micro.build`. They link the OpenSSL that the measured rhp has, so there is a folder of them for each.
"""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Distribution, Extension  # type: ignore[import-untyped]
from setuptools.command.build_ext import build_ext  # type: ignore[import-untyped]

from bench import flavour

ROOT = Path(__file__).parents[2]
OPENSSL = ROOT / "build/openssl"
"""Where the wheel's OpenSSL lies once it is built."""


def extensions() -> list[Extension]:
    """The loops; only those that call EVP themselves link OpenSSL."""
    flags = {"define_macros": [("_GNU_SOURCE", "1")], "extra_compile_args": ["-O3"]}
    openssl = {"libraries": ["crypto"]}
    if flavour.STATIC:
        openssl = {
            "extra_objects": [str(OPENSSL / "lib/libcrypto.a")],
            "include_dirs": [str(OPENSSL / "include")],
            "extra_link_args": ["-Wl,--exclude-libs,ALL"],
        }
    return [
        Extension("bench.micro.loops", [str(ROOT / "bench/micro/loops.pyx")], **flags, **openssl),
        Extension("bench.micro.sealpath", [str(ROOT / "bench/micro/sealpath.pyx")], **flags),
    ]


def build_loops() -> None:
    """Bring the loops up to date, in the folder of this flavour; the C compiler's messages go to stdout.

    Needs Cython, a C compiler and OpenSSL's headers, as building rhp itself does.
    """
    modules = cythonize(  # type: ignore[no-untyped-call]
        extensions(),
        build_dir=str(ROOT / "build/cython"),
        include_path=[str(ROOT), str(ROOT / "rhp/_fast/include")],
        compiler_directives={"language_level": "3", "cdivision": True, "boundscheck": False, "wraparound": False},
        quiet=True,
    )
    command = build_ext(Distribution({"ext_modules": modules}))
    command.build_lib = str(ROOT / flavour.FOLDER)
    command.build_temp = str(ROOT / flavour.FOLDER / "temp")
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    build_loops()
