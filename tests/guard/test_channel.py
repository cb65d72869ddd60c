"""The line between the two processes: whole messages, known senders, descriptors that come along."""

import array
import os
import socket

import pytest

from rhp.guard import memory
from rhp.guard.channel import Channel, ChannelError, pair
from rhp.guard.messages import LARGEST, build_answer, parse_told
from rhp.guard.protocol import Refused
from rhp.wire.errors import DecodeError


@pytest.fixture
def line():
    ours, theirs = pair()
    with ours, theirs:
        yield Channel(ours, os.getpid()), theirs


def test_a_message_comes_whole_and_with_its_sender(line):
    ours, theirs = line
    theirs.send(b"one")
    theirs.send(b"")
    for octets in (b"one", b""):
        received = ours.receive()
        assert (received.octets, received.fds) == (octets, ())
        assert (received.pid, received.uid) == (os.getpid(), os.getuid())


def test_descriptors_come_along_and_are_not_inherited(line):
    ours, theirs = line
    reads, writes = os.pipe()
    rights = array.array("i", [reads, writes])
    theirs.sendmsg([b"take these"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    os.close(writes)
    os.close(reads)
    received = ours.receive()
    os.write(received.fds[1], b"through")
    assert os.read(received.fds[0], 16) == b"through"
    for fd in received.fds:
        assert not os.get_inheritable(fd)
        os.close(fd)


def test_one_that_is_too_long_is_refused_and_the_next_is_read(line):
    ours, theirs = line
    theirs.send(bytes(LARGEST + 1))
    theirs.send(bytes(LARGEST))
    with pytest.raises(ChannelError, match="too-long"):
        ours.receive()
    assert len(ours.receive().octets) == LARGEST


def test_what_another_process_says_is_refused():
    """The descriptor may have come to anybody; the kernel says who writes."""
    ours, theirs = pair()
    with ours, theirs:
        channel = Channel(ours, os.getppid())
        theirs.send(b"I am the node")
        with pytest.raises(ChannelError, match="wrong-sender"):
            channel.receive()


def test_the_descriptors_of_a_refused_message_are_closed():
    ours, theirs = pair()
    with ours, theirs:
        channel = Channel(ours, os.getppid())
        reads, writes = os.pipe()
        theirs.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writes]))])
        os.close(writes)
        with pytest.raises(ChannelError):
            channel.receive()
        assert os.read(reads, 1) == b""  # Nobody has the other end any more.
        os.close(reads)


def test_the_end_of_the_line_is_told(line):
    ours, theirs = line
    theirs.close()
    assert ours.receive() is None


def test_an_answer_that_is_too_long_for_a_message_is_enclosed():
    answer = Refused("x" * (LARGEST + 1))
    octets, fds = build_answer(7, answer)
    assert len(octets) < 16
    assert parse_told(octets, fds) == (7, answer)
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(fds[0])  # It was read and closed.
    short, none = build_answer(7, Refused("x"))
    assert none == ()
    assert parse_told(short, ()) == (7, Refused("x"))


@pytest.mark.parametrize("octets", [b"", b"\1", b"nothing like an answer"])
def test_what_is_enclosed_has_to_be_an_answer(octets):
    enclosure, fds = build_answer(7, Refused("x" * (LARGEST + 1)))
    os.close(fds[0])
    with pytest.raises(DecodeError):
        parse_told(enclosure, (memory.sealed("x", octets),))
    with pytest.raises(DecodeError, match="nothing-enclosed"):
        parse_told(enclosure, ())


def test_nobody_changes_what_is_sealed():
    fd = memory.sealed("x", b"as it is")
    with pytest.raises(PermissionError):
        os.write(fd, b"otherwise")
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)
    assert memory.read(fd, 100) == b"as it is"
    with pytest.raises(OSError, match="large"):
        memory.read(memory.sealed("x", b"as it is"), 7)
