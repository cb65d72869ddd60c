"""A short run of every fuzzing target, the same each time; `make fuzz` runs as long as one likes."""

import pytest
from fuzz import TARGETS, build_program, run, summary

# As many inputs as take a few seconds.
RUNS = {"admission": 100_000, "frames": 200_000, "segment": 10_000, "merge": 6_000, "esp": 6_000, "lane": 8_000}
SEED = 3


@pytest.fixture(scope="module", autouse=True)
def program():
    build_program()


def test_every_target_has_its_share():
    assert set(RUNS) == set(TARGETS)


@pytest.mark.parametrize("target", sorted(RUNS))
def test_nothing_is_found(target, tmp_path):
    done = run(target, [f"-runs={RUNS[target]}", f"-seed={SEED}"], tmp_path)
    assert done.returncode == 0, done.stdout[-6000:]
    # It ran to its end, and further than the first line of the target.
    tried, reached = (int(words.split()[0]) for words in summary(done.stdout).split(", "))
    assert tried >= RUNS[target]
    assert reached > 100
