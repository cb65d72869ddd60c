"""A second build of rhp whose C parts watch themselves, and how a program is run on it.

`ADDRESS` is AddressSanitizer with UndefinedBehaviorSanitizer and libFuzzer's eyes for coverage, `THREAD` is
ThreadSanitizer. Each has a whole copy of the package under build/, so that the ordinary build stays as it is. Python
itself is not instrumented: the sanitizer's runtime is preloaded, and in the first build every `bytes` is an allocation
of its own, with forbidden octets in front and behind.
"""

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLANG = "clang"
# The programs of the lab are watched too, and iproute2's `ip` copies a string onto itself.
SUPPRESSIONS = Path(__file__).with_name("asan.supp")


@dataclass(frozen=True)
class Sanitizer:
    """One way of watching: the compiler and its flags, the runtime's name, what it is told, and how it is started."""

    name: str
    compiler: str
    flags: str
    runtime: str
    options: tuple[tuple[str, str], ...]
    prefix: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where this build stands."""
        return ROOT / "build" / self.name

    @property
    def library(self) -> Path:
        """The folder to import `rhp` from."""
        return self.folder / "lib"


ADDRESS = Sanitizer(
    "asan",
    CLANG,
    "-g -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize=address,undefined,fuzzer-no-link",
    f"libclang_rt.asan-{platform.machine()}.so",
    (
        # The interpreter keeps much until its end, which is no leak of ours.
        ("ASAN_OPTIONS", f"detect_leaks=0:halt_on_error=1:exitcode=99:suppressions={SUPPRESSIONS}"),
        ("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1"),
        ("PYTHONMALLOC", "malloc"),
    ),
)
THREAD = Sanitizer(
    "tsan",
    # Clang 14's runtime cannot be preloaded into a program that was not made for it.
    "gcc",
    # A fence is not understood; none of rhp's orders anything that is not atomic by itself.
    "-g -fno-omit-frame-pointer -fsanitize=thread -Wno-tsan",
    "libtsan.so",
    (("TSAN_OPTIONS", "halt_on_error=1:exitcode=99"),),
    # The runtime needs its place in the address space.
    ("setarch", "-R"),
)


def build_environment(sanitizer: Sanitizer) -> dict[str, str]:
    """The environment in which setuptools compiles with the sanitizer."""
    # Without -fwrapv, which Python's own flags hold: a signed overflow shall be seen.
    flags = {"CC": sanitizer.compiler, "CFLAGS": sanitizer.flags, "LDFLAGS": sanitizer.flags}
    return {**os.environ, **flags, "RHP_OPENSSL": "system", "RHP_EXTENSIONS": ""}


def build(sanitizer: Sanitizer) -> None:
    """Bring the sanitized copy of rhp up to date; raises CalledProcessError, with the compiler's words printed."""
    environment = build_environment(sanitizer)
    for table in ("setup.py", "tests/sanitize/setup.py"):
        command = [sys.executable, table, "-q", "build", "--parallel", str(os.cpu_count() or 1)]
        folders = {"base": sanitizer.folder, "lib": sanitizer.library, "temp": sanitizer.folder / "objects"}
        loudly([*command, *(f"--build-{name}={folder}" for name, folder in folders.items())], environment)


def loudly(command: list[str], environment: dict[str, str]) -> None:
    """Run a step of the build, whose output is shown only if it fails."""
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        done.check_returncode()


def run_environment(sanitizer: Sanitizer) -> dict[str, str]:
    """The environment in which Python imports the sanitized rhp and nothing else by that name."""
    asked = [sanitizer.compiler, f"-print-file-name={sanitizer.runtime}"]
    runtime = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    if not Path(runtime).is_absolute():
        raise RuntimeError(f"{sanitizer.compiler} has no {sanitizer.runtime}; `make setup` installs it")
    # The folder where Python is started holds an rhp too.
    paths = {"PYTHONPATH": str(sanitizer.library), "PYTHONSAFEPATH": "1", "LD_PRELOAD": runtime}
    return {**os.environ, **paths, **dict(sanitizer.options)}
