"""The table of what is wanted: ratios in the right direction, verdicts, and honest gaps."""

import json

import pytest
from rich.console import Console

from bench import compare, targets

TREE, WHEEL = targets.COLUMNS


def line(what):
    return next(one for one in targets.LINES if one.what == what)


def test_a_line_compares_with_the_mark_in_the_same_run():
    files = {"netns": {"tcp_1_stream_gbps": {"rhp": 6.6, "rhp-wheel": 9.0, "wireguard-go": 3.0}}}
    tcp = line("TCP, 1 stream there")
    assert tcp.figure(files, TREE) == pytest.approx(2.2)
    assert tcp.figure(files, WHEEL) == pytest.approx(3.0)
    assert tcp.met(2.2, tcp.targets[0])
    assert not tcp.met(3.0, tcp.targets[1])


def test_less_is_better_for_a_ping():
    files = {"netns": {"ping_loaded_ms": {"rhp": 3.0, "wireguard-go": 5.0}}}
    ping = line("ping beside a TCP stream")
    assert ping.figure(files, TREE) == pytest.approx(0.6)
    assert not ping.met(0.6, 0.5)
    assert ping.met(0.5, 0.5)


def test_each_column_has_files_of_its_own():
    row = "path_aes128gcm16_1400b_gbps"
    files = {"micro": {row: {"rhp": 3.0, "evp": 4.0}}, "micro-wheel": {row: {"rhp": 3.0, "evp": 5.0}}}
    share = line("seal and frame, 1400 octets, of bare EVP")
    assert [share.figure(files, column) for column in (TREE, WHEEL)] == [75.0, 60.0]


def test_every_name_is_one_that_is_measured():
    from bench.netns.contenders import CONTENDERS
    from bench.netns.measures import FIRST, LAST, REPEATED
    from bench.path.__main__ import SETUPS

    asked = []

    class Names(dict):
        def __getitem__(self, name):
            asked.append(name)
            return 1.0 if name in programs else self

    programs = {*CONTENDERS, "evp", "calm", "rhp-natt-port", *(setup.name for setup in SETUPS)}
    for one in targets.LINES:
        one.figure(Names(), TREE)
    measured = {name for name in asked if name.startswith(("tcp_", "udp_", "ping_"))}
    assert measured <= {*FIRST, *REPEATED, *LAST}
    assert programs >= {"one-peer", "two-lanes", "thousand-peers", "wireguard-go", "rhp", "rhp-wheel"}


def shown(files):
    console = Console(width=200)
    with console.capture() as captured:
        console.print(targets.table(files))
    return captured.get()


def test_what_was_not_measured_is_said_so():
    ping = {"rhp": 0.2, "wireguard-go": 0.1}
    text = shown({"netns": {"ping_idle_ms": ping}})
    rows = {row.split("│")[1].strip(): row for row in text.splitlines() if row.startswith("│")}
    assert len(rows) == len(targets.LINES)
    assert "missed" in rows["ping, idle"]
    assert "not measured" in rows["ping, idle"]
    assert rows["TCP, 1 stream there"].count("not measured") == 2


def test_the_files_of_a_run_are_read(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(compare, "OUT", tmp_path)
    assert targets.main() == 1
    (tmp_path / "netns.json").write_text(json.dumps({"ping_idle_ms": {"rhp": 0.1, "wireguard-go": 0.2}}))
    capsys.readouterr()
    assert targets.main() == 0
    assert "0.5 x" in capsys.readouterr().out
