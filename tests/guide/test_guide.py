"""Every command of docs/guide.md, typed on the machines that its prompts name, prints what the guide says."""

from pathlib import Path

import pytest
from guide_matching import missing
from guide_reading import Command, Event, File, chapters
from guide_world import World

from rhp.lab.lab import Lab

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
CHAPTERS = dict(chapters(GUIDE.read_text(encoding="utf-8")))


@pytest.mark.netns
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_chapter_works_as_it_is_written(chapter):
    with Lab() as lab:
        world = World(lab)
        for name in dict.fromkeys(step.machine for step in CHAPTERS[chapter] if isinstance(step, Command)):
            world.machine(name)
        for step in CHAPTERS[chapter]:
            match step:
                case Command(machine, line, shows):
                    world.machine(machine).do(line, shows)
                case File(machine, path, text):
                    world.machine(machine).write(path, text)
                case Event(("move", machine, address)):
                    world.move(machine, address)
                case _:
                    raise ValueError(f"the lab cannot do {step}")
        for log in lab.folder.glob("*/terminal-*"):
            assert "Traceback" not in log.read_text(), log


def test_the_guide_has_the_chapters_that_were_promised():
    names = " ".join(CHAPTERS)
    for word in ("five minutes", "Two offices", "laptop", "container", "ARM"):
        assert word in names


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("office   established", "office established\n"),
        ("in 12 ms", "in 7 ms"),
        ("... node started ...", "2026-01-01 INFO node started port=500"),
        ("rtt 0.3 ms, 41 B", "rtt 1.25 ms, 6 B"),
        ("02:00:5e:00:00:01 peer", "02:aa:bb:cc:dd:ee peer"),
        ("spi=0a1b2c3d4e5f6071", "spi=ffeeddccbbaa9988"),
    ],
)
def test_what_is_measured_may_differ(shown, printed):
    assert missing((shown,), printed) is None


@pytest.mark.parametrize(
    ("shown", "printed"),
    [("10.88.0.2", "10.88.0.3"), ("office up", "office down"), ("node started", "the node started anew")],
)
def test_what_is_said_may_not(shown, printed):
    assert missing((shown,), printed) == shown


def test_lines_come_in_their_order():
    assert missing(("one", "two"), "zero\none\nmore\ntwo\n") is None
    assert missing(("two", "one"), "one\ntwo\n") == "one"
