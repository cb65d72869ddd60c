"""`python tests/sanitize/fuzz.py [--seconds N] [target ...]`: libFuzzer on the packet path.

As many targets run at once as there are processors; `--seconds` is for all of them together. What libFuzzer finds worth
keeping stays in build/asan/corpus, where the next run begins. A finding is left in build/asan/findings, and the target
with `--again FILE` repeats it.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sanitized import ADDRESS, CLANG, ROOT, build, build_environment, loudly

HERE = Path(__file__).parent
PROGRAM = ADDRESS.folder / "fuzz"
CORPUS = ADDRESS.folder / "corpus"
FINDINGS = ADDRESS.folder / "findings"
TARGETS = sorted(path.stem for path in (HERE / "targets").glob("*.pyx") if "\nentry = " in path.read_text())
# Seconds that one input may take: a target does no more than some milliseconds of work.
INPUT_LIMIT = 10
# The longest input; packets are written from few octets.
LENGTH = 2048


def build_program() -> None:
    """Bring the sanitized build and libFuzzer's program up to date."""
    build(ADDRESS)
    flags = ["-g", "-fsanitize=fuzzer,address,undefined", "-rdynamic", f"-I{sysconfig.get_path('include')}"]
    python = [f"-L{sysconfig.get_config_var('LIBDIR')}", f"-lpython{sysconfig.get_config_var('LDVERSION')}"]
    command = [CLANG, *flags, str(HERE / "fuzz.c"), "-o", str(PROGRAM), *python]
    loudly(command, build_environment(ADDRESS))


def environment(target: str) -> dict[str, str]:
    """What the program needs to find its target."""
    told = {"PYTHONPATH": str(ADDRESS.library), "PYTHONHOME": sys.base_prefix, "RHP_FUZZ_TARGET": f"targets.{target}"}
    return {**os.environ, **told, **dict(ADDRESS.options)}


def run(target: str, options: list[str], corpus: Path) -> subprocess.CompletedProcess[str]:
    """One run of libFuzzer, which fails where it found something; its words are in `stdout`.

    `corpus` is a folder, or a file with one input, which is all that is tried then.
    """
    if not corpus.is_file():
        corpus.mkdir(parents=True, exist_ok=True)
    FINDINGS.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_len={LENGTH}", f"-timeout={INPUT_LIMIT}", "-print_final_stats=1"]
    return subprocess.run(
        [str(PROGRAM), f"-artifact_prefix={FINDINGS}/{target}-", *limits, *options, str(corpus)],
        env=environment(target),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def summary(words: str) -> str:
    """How many inputs were tried, how many places of the code were reached."""
    runs = [line.split()[-1] for line in words.splitlines() if "number_of_executed_units" in line]
    reached = [line.split("cov: ")[1].split()[0] for line in words.splitlines() if "cov: " in line]
    return f"{runs[-1] if runs else '?'} inputs, {reached[-1] if reached else '?'} edges"


def fuzz(target: str, seconds: int) -> bool:
    """Run one target and tell how it went; True when nothing was found."""
    done = run(target, [f"-max_total_time={seconds}"], CORPUS / target)
    if done.returncode:
        print(f"{target}: FOUND\n{done.stdout[-6000:]}", flush=True)
        return False
    print(f"{target}: clean after {seconds} s, {summary(done.stdout)}", flush=True)
    return True


def repeat(target: str, finding: Path) -> int:
    """Run one input; libFuzzer's status."""
    done = run(target, [], finding)
    print(done.stdout)
    return done.returncode


def main() -> int:
    """0 when every target was clean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--again", type=Path, metavar="FILE")
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(TARGETS))
    wanted = parser.parse_args()
    targets = wanted.targets or TARGETS
    build_program()
    if wanted.again:
        return repeat(targets[0], wanted.again.resolve())
    workers = min(os.cpu_count() or 1, len(targets))
    share = max(1, wanted.seconds * workers // len(targets))
    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(lambda target: fuzz(target, share), targets))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
