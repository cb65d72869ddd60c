"""`python tests/sanitize/watch.py asan|tsan [pytest's arguments]`: tests on a build that watches itself.

Without arguments these are, for `asan`, the tests of the packet path, alone and in namespaces, and for `tsan` those in
which lanes run beside the control thread. Tests that measure what the process keeps are left out, because freed memory
stays aside for a while, so that a late use of it is seen; and those that send faster than a limit, because they cannot.
"""

import subprocess
import sys

from sanitized import ADDRESS, ROOT, THREAD, Sanitizer, build, run_environment

PACKET_PATH = ["tests/fast", "tests/netns", "tests/faults"]
THREADS = ["tests/fast", "-k", "lane or plane or sequence"]
WATCHED = {"asan": (ADDRESS, PACKET_PATH), "tsan": (THREAD, THREADS)}
LEFT_OUT = (
    "test_evp.py::test_contexts_leave_no_memory_behind",
    "test_evp.py::test_packets_leave_no_memory_behind",
    "test_lane.py::test_start_and_stop_a_hundred_times_without_leaking",
    "test_plane_scale.py::test_a_storm_of_one_peer_is_bounded_and_the_others_go_on",
    "test_plane_scale.py::test_the_limit_is_over_when_its_time_is",
    "test_plane_scale.py::test_the_others_are_served_in_a_storm",
    "test_plane_scale.py::test_whose_data_storm_is_still_asked_by_arp",
)


def command(sanitizer: Sanitizer, arguments: list[str]) -> list[str]:
    """A run of pytest on the sanitized build, in its environment."""
    pytest = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return [*sanitizer.prefix, *pytest, *(f"--deselect=tests/fast/{test}" for test in LEFT_OUT), *arguments]


def main() -> int:
    """Build, run, and give pytest's status, or the sanitizer's 99 with its words on standard error."""
    sanitizer, usual = WATCHED[sys.argv[1]]
    print(f"Building for the sanitizer in {sanitizer.folder.relative_to(ROOT)} ...", file=sys.stderr)
    build(sanitizer)
    tests = command(sanitizer, sys.argv[2:] or usual)
    return subprocess.run(tests, cwd=ROOT, env=run_environment(sanitizer), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
