"""Compiles the timing loops. They stay out of the product: nobody who installs rhp needs them."""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Distribution, Extension  # type: ignore[import-untyped]
from setuptools.command.build_ext import build_ext  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]


def build_loops() -> None:
    """Bring bench/micro/loops up to date, in place; the C compiler's messages go to stdout.

    Needs Cython, a C compiler and OpenSSL's headers, as building rhp itself does.
    """
    extension = Extension(
        "bench.micro.loops",
        [str(ROOT / "bench/micro/loops.pyx")],
        libraries=["crypto"],
        define_macros=[("_GNU_SOURCE", "1")],
        extra_compile_args=["-O3"],
    )
    modules = cythonize(  # type: ignore[no-untyped-call]
        [extension],
        build_dir=str(ROOT / "build/cython"),
        include_path=[str(ROOT), str(ROOT / "rhp/_fast/include")],
        compiler_directives={"language_level": "3"},
        quiet=True,
    )
    command = build_ext(Distribution({"ext_modules": modules}))
    command.inplace = True
    command.build_temp = str(ROOT / "build/bench")
    command.ensure_finalized()
    command.run()
