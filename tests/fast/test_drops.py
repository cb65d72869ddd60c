"""Drop reasons: names that people and metrics read."""

import re

from rhp._fast import drops

# Renaming one of these breaks somebody's dashboard: do it in the changelog's sight.
ESP = {
    "esp-crypto-failed",
    "lifetime-over",
    "sequence-exhausted",
    "esp-oversized",
    "esp-truncated",
    "esp-wrong-spi",
    "esp-misaligned",
    "esp-zero-sequence",
    "esp-replayed",
    "esp-too-old",
    "esp-bad-icv",
    "esp-bad-padding",
}


def test_names():
    names = drops.names()
    assert names[0] == "none"
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)
    assert set(names) >= ESP
