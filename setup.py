"""The extension table of `rhp/_fast`; everything else stands in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup  # type: ignore[import-untyped]

# The limited API of CPython 3.11 gives one binary for every later version; it changes only the Python boundary.
LIMITED_API = "0x030B0000"
FAST = Path("rhp/_fast")
# Only these call libcrypto: a second one that linked it statically would carry, and start, another copy of it.
CRYPTO = {"evp"}
# "system" links the OpenSSL of this machine, "static" puts the one that wheels/openssl has built into the modules.
OPENSSL = os.environ.get("RHP_OPENSSL", "system")
STATIC = Path("build/openssl")
# Each choice builds in a folder of its own, so that no object of one is taken for one of the other.
BUILD = "build" if OPENSSL == "system" else f"build/{OPENSSL}"
# -O2, link-time optimisation and leaving out the distribution's hardening made no difference to the path's benchmark.
# A wheel carries no debug information; the names of its functions stay in it for a profiler.
COMPILE = ["-O3", "-pthread", "-fno-strict-aliasing", "-fvisibility=hidden", *(["-g0"] if OPENSSL == "static" else [])]
# A libcrypto that is linked in must never meet another one in the process, so not one of its symbols leaves the module.
# What nobody calls is left out.
LINK = ["-pthread", "-Wl,--exclude-libs,ALL", "-Wl,--gc-sections"]


def libcrypto() -> dict[str, list[str]]:
    """What an extension that calls libcrypto is compiled and linked with."""
    if OPENSSL == "system":
        return {"libraries": ["crypto"]}
    archive = STATIC / "lib/libcrypto.a"
    if OPENSSL != "static" or not archive.exists():
        raise SystemExit(f"RHP_OPENSSL={OPENSSL}: write system, or static after wheels/openssl has built {archive}.")
    return {
        "include_dirs": [str(STATIC / "include")],
        "extra_objects": [str(archive)],
        "depends": [str(archive)],
    }


def extension(source: Path) -> Extension:
    return Extension(
        f"rhp._fast.{source.stem}",
        [str(source)],
        define_macros=[("Py_LIMITED_API", LIMITED_API), ("OPENSSL_API_COMPAT", "0x30000000L"), ("_GNU_SOURCE", "1")],
        extra_compile_args=COMPILE,
        extra_link_args=LINK,
        py_limited_api=True,
        **(libcrypto() if source.stem in CRYPTO else {}),
    )


def selected() -> list[Path]:
    """Every module of `rhp/_fast`, or only those named in RHP_EXTENSIONS (comma-separated) while working on one."""
    names = [name for name in os.environ.get("RHP_EXTENSIONS", "").split(",") if name]
    sources = sorted(FAST.glob("*.pyx"))
    return [source for source in sources if not names or source.stem in names]


setup(
    ext_modules=cythonize(  # type: ignore[no-untyped-call]
        [extension(source) for source in selected()],
        build_dir=f"{BUILD}/cython",
        # C declarations are cimported by their bare name, because `include` is a word of Cython's own.
        include_path=[".", str(FAST / "include")],
        compiler_directives={"language_level": "3", "boundscheck": False, "wraparound": False, "cdivision": True},
    ),
    options={
        "bdist_wheel": {"py_limited_api": "cp311"},
        "build": {"build_base": BUILD},
        "build_ext": {"parallel": os.cpu_count()},
    },
)
