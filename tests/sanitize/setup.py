"""The extension table of this folder: what only the sanitized build holds (`sanitized.build` runs this file)."""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).parents[2]
TARGETS = sorted((Path(__file__).parent / "targets").glob("*.pyx"))

setup(
    name="targets",
    packages=[],
    ext_modules=cythonize(
        [
            Extension(
                f"targets.{source.stem}",
                [str(source.relative_to(ROOT))],
                define_macros=[("_GNU_SOURCE", "1")],
                extra_compile_args=["-O1", "-fno-strict-aliasing"],
            )
            for source in TARGETS
        ],
        build_dir="build/cython",
        include_path=[".", "rhp/_fast/include", "tests/sanitize"],
        compiler_directives={"language_level": "3", "boundscheck": False, "wraparound": False, "cdivision": True},
    ),
)
