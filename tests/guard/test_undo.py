"""The undo log."""

import asyncio
import errno

from rhp.guard.undo import UndoLog, error_number


def step(done, name, error=None):
    async def run():
        done.append(name)
        if error is not None:
            raise error

    return run


def test_newest_first_and_only_once():
    log, done = UndoLog(), []
    for name in "abc":
        log.add(name, step(done, name))
    assert len(log) == 3
    assert asyncio.run(log.run()) == []
    assert done == ["c", "b", "a"]
    assert len(log) == 0
    assert asyncio.run(log.run()) == []
    assert done == ["c", "b", "a"]


def test_a_failure_is_told_and_does_not_stop_the_rest():
    log, done = UndoLog(), []
    log.add("first", step(done, "first"))
    log.add("second", step(done, "second", OSError(errno.EPERM, "no")))
    log.add("third", step(done, "third", RuntimeError("odd")))
    problems = asyncio.run(log.run())
    assert done == ["third", "second", "first"]
    assert len(problems) == 2
    assert problems[0].startswith("third could not be taken back")
    assert problems[1].startswith("second could not be taken back")


def test_what_is_gone_already_is_no_failure():
    class NetlinkError(Exception):
        code = errno.ESRCH

    log, done = UndoLog(), []
    log.add("route", step(done, "route", NetlinkError()))
    log.add("link", step(done, "link", OSError(errno.ENODEV, "gone")))
    assert asyncio.run(log.run()) == []
    assert done == ["link", "route"]


def test_what_was_cut_off_is_taken_back_by_the_next():
    """The node asks for it, and is killed meanwhile: then the guard does it for itself."""
    log, done = UndoLog(), []

    async def story():
        begun, hold = asyncio.Event(), asyncio.Event()

        async def slow():
            begun.set()
            await hold.wait()
            done.append("b")

        for name, one in (("a", step(done, "a")), ("b", slow), ("c", step(done, "c"))):
            log.add(name, one)
        running = asyncio.create_task(log.run())
        await begun.wait()
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        assert len(log) == 2 and "b" in log and "c" not in log
        hold.set()
        assert await log.run() == []

    asyncio.run(story())
    assert done == ["c", "b", "a"]
    assert len(log) == 0


def test_what_is_made_again_is_taken_back_once_and_as_the_newest():
    """Else the entries of an interface that is made anew, time and again, would fill the log."""
    log, done = UndoLog(), []
    log.add("a", step(done, 1))
    log.add("b", step(done, 2))
    log.add("a", step(done, 3))
    assert len(log) == 2
    assert asyncio.run(log.run()) == []
    assert done == [3, 2]


def test_what_is_forgotten_is_not_taken_back():
    log, done = UndoLog(), []
    log.add("a", step(done, 1))
    log.add("b", step(done, 2))
    log.forget("a")
    log.forget("c")
    assert "a" not in log and "b" in log
    assert asyncio.run(log.run()) == []
    assert done == [2]
    assert "b" not in log


def test_an_entry_is_found_by_its_key_if_it_has_one():
    log, done = UndoLog(), []
    log.add("route None", step(done, 1), ("route", None))
    log.add("route None", step(done, 2), ("route", "None"))
    assert ("route", None) in log
    log.forget("route None")
    assert len(log) == 2 and "route None" not in log
    log.forget(("route", "None"))
    assert asyncio.run(log.run()) == []
    assert done == [1]
    assert ("route", None) not in log


def test_error_numbers():
    assert error_number(OSError(errno.EPERM, "no")) == errno.EPERM
    assert error_number(ValueError("x")) is None
    assert error_number(OSError("x")) is None
