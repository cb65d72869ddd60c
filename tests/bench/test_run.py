"""One run of the benchmark: turns in the right order, and failures that cost a figure and no more."""

import pytest

from bench.netns import run
from bench.netns.contender import Contender
from rhp.lab.errors import LabError


@pytest.fixture
def taken(monkeypatch):
    """Programs that need no network, and measures that note when they are taken."""
    order = []

    def program(name):
        return lambda lab: Contender(name, None, None, "192.0.2.2")

    def broken(lab):
        raise LabError("it is not installed")

    def fast(lab, contender, seconds):
        order.append(("fast_gbps", contender.name))
        return float(seconds)

    def frail(lab, contender, seconds):
        order.append(("frail_ms", contender.name))
        if contender.name == "one":
            raise LabError("it broke")
        return 1.0

    monkeypatch.setattr(run, "CONTENDERS", {"one": program("one"), "two": program("two"), "broken": broken})
    monkeypatch.setattr(run, "SUITES", {"cipher": program("cipher")})
    monkeypatch.setattr(run, "REPEATED", {"fast_gbps": fast, "frail_ms": frail})
    monkeypatch.setattr(run, "FIRST", {"rss_mb": lambda contender: 5.0 if contender.name == "one" else None})
    monkeypatch.setattr(run, "LAST", {})
    monkeypatch.setattr(run, "OF_SUITES", ("fast_gbps",))
    monkeypatch.setattr(run, "reaches", lambda client, address: True)
    return order


def test_rounds_are_interleaved(taken):
    made = run.Run(None, ["one", "two"])
    made.measure(["fast_gbps"], 2, 3)
    assert taken == [("fast_gbps", name) for name in ("one", "two", "one", "two")]
    assert made.samples == {"fast_gbps": {"one": [3.0, 3.0], "two": [3.0, 3.0]}}
    assert made.failures == []


def test_a_failure_costs_one_figure(taken):
    made = run.Run(None, ["one", "broken", "two"])
    made.measure(["fast_gbps", "frail_ms"], 1, 1)
    assert made.samples["frail_ms"] == {"two": [1.0]}
    assert set(made.samples["fast_gbps"]) == {"one", "two"}
    assert made.failures == ["broken did not start: it is not installed", "one, frail_ms: it broke"]


def test_a_program_through_which_nothing_comes_does_not_take_part(taken, monkeypatch):
    monkeypatch.setattr(run, "reaches", lambda client, address: False)
    made = run.Run(None, ["one"])
    made.measure(["fast_gbps"], 1, 1)
    assert made.failures == ["one did not start: nothing comes through"]
    assert taken == []


def test_other_ciphers_have_one_measure(taken):
    made = run.Run(None, ["two", "cipher"])
    made.measure(["fast_gbps", "frail_ms"], 1, 1)
    assert ("frail_ms", "cipher") not in taken
    assert "cipher" in made.samples["fast_gbps"]


def test_what_has_no_figure_has_no_sample(taken):
    made = run.Run(None, ["one", "two"])
    made.measure(["rss_mb"], 1, 1)
    assert made.samples == {"rss_mb": {"one": [5.0] * 3}}
