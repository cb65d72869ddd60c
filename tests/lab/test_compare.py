"""The table of figures: each beside rhp's ratio to it, where both are there."""

import pytest

from bench import compare


@pytest.fixture
def out(monkeypatch, tmp_path):
    monkeypatch.setattr(compare, "OUT", tmp_path / "out")
    return tmp_path / "out"


def test_cells():
    row = {"rhp": 3.0, "other": 1.5, "fast": 2500.0, "none": 0.0}
    assert compare.cell(row, "rhp") == "3"
    assert "rhp 2.00 x" in compare.cell(row, "other")
    assert compare.cell(row, "fast").startswith("2,500")
    assert compare.cell(row, "none") == "0"
    assert compare.cell(row, "absent") == "-"
    assert compare.cell({"other": 1.5}, "other") == "1.5"


def test_what_is_written_is_shown(out, capsys):
    path = compare.write("netns", {"tcp_1_stream_gbps": {"veth": 20.0, "rhp": 5.0}})
    assert path == out / "netns.json"
    assert compare.main([]) == 0
    shown = capsys.readouterr().out
    assert "tcp_1_stream_gbps" in shown
    assert shown.index("rhp") < shown.index("veth")
    assert "0.25 x" in shown


def test_without_figures_it_says_so(out, capsys):
    assert compare.main([]) == 1
    assert "make bench" in capsys.readouterr().err
