"""What the node may ask of the kernel: a filter that each of its system calls passes, for good (seccomp(2)).

What it has no use for is refused with EPERM, so that it ends in an error and not in the end of all tunnels. Threads are
made, processes are not. Sockets are of UDP, TCP and Unix, and of routing's netlink, which only answers questions to
somebody without a privilege. Calls that depend on no argument cost nothing: the kernel remembers them.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from rhp.guard.sandbox import calls
from rhp.guard.sandbox.bpf import Label, Line, assemble, equal, give, has_any, load, mask, not_below
from rhp.guard.sandbox.calls import Machine
from rhp.guard.sandbox.libc import ffi, syscall

ALLOW = 0x7FFF0000
KILL = 0x80000000
NO = 0x00050001  # SECCOMP_RET_ERRNO with EPERM,
NO_SUCH_CALL = 0x00050026  # and with ENOSYS, upon which libraries fall back to an older call.

_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_SET_MODE_FILTER = 1
_FLAG_ALL_THREADS = 1
_KIND_BITS = 0x0F
_CLONE_THREAD = 0x00010000
# CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
_CLONE_NEW = 0x00000080 | 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_PR_SET_DUMPABLE = 4
_IOCTLS = (
    *(0x5421, 0x5451, 0x5450, 0x541B),  # FIONBIO, FIOCLEX, FIONCLEX, FIONREAD,
    *(0x5401, 0x802C542A, 0x5413),  # TCGETS, TCGETS2, TIOCGWINSZ: whether it is a terminal.
    *(0x8910, 0x8933, 0x8913, 0x8915, 0x8921, 0x8927),  # SIOCGIFNAME, -INDEX, -FLAGS, -ADDR, -MTU, -HWADDR.
    *(0x800454D2, 0x400454D0),  # TUNGETIFF, TUNSETOFFLOAD.
)
"""All that may be asked of a descriptor. A TAP's could else be made to outlive us, or to be another user's."""

_SOL_NETLINK = 270
_LEVELS = (
    *(socket.SOL_SOCKET, socket.IPPROTO_IP, socket.IPPROTO_IPV6, socket.IPPROTO_TCP, socket.IPPROTO_UDP),
    _SOL_NETLINK,  # Libraries ask for answers with reasons (NETLINK_EXT_ACK), and some fail where they may not.
)
_FORGING = ((socket.IPPROTO_IP, (3, 15)), (socket.IPPROTO_IPV6, (36, 78)))
"""IP_HDRINCL, IP_FREEBIND, IPV6_HDRINCL, IPV6_FREEBIND: with these, packets leave with anybody's source address."""

_PROGRAM = struct.Struct("=HxxxxxxQ")


def restrict() -> None:
    """From now on this process, with all its threads, passes the filter. Raises OSError where it cannot be had.

    A thread that has a filter of its own cannot be made to, and then none is: the kernel answers with its number.
    """
    machine = calls.MACHINES.get(os.uname().machine)
    if machine is None:
        raise OSError(38, f"the system calls of {os.uname().machine} are not known")
    octets = ffi.from_buffer(program(machine))
    head = ffi.new("char[]", _PROGRAM.size)
    packed = _PROGRAM.pack(len(octets) // 8, int(ffi.cast("uintptr_t", octets)))
    ffi.memmove(head, packed, len(packed))
    if thread := syscall("seccomp", _SET_MODE_FILTER, _FLAG_ALL_THREADS, head):
        raise OSError(errno.EBUSY, f"thread {thread} has a filter of its own")


def program(machine: Machine) -> bytes:
    """The filter for this machine."""
    lines: list[Line] = [
        load(_ARCHITECTURE),
        equal(machine.audit, yes="ours"),
        give(KILL),  # A call in the way of another architecture has other numbers.
        Label("ours"),
        load(_NUMBER),
        not_below(calls.X32_BIT, no="numbered"),
        give(NO),
        Label("numbered"),
    ]
    for number in calls.denied(machine):
        lines += [equal(number, no=f"not {number}"), give(NO), Label(f"not {number}")]
    lines += [equal(calls.CLONE3, no="older"), give(NO_SUCH_CALL), Label("older")]
    for number, body in (
        (machine.clone, _clone()),
        (machine.socket, _socket()),
        (machine.socketpair, _socketpair()),
        (machine.prctl, _prctl()),
        (machine.ioctl, _ioctl()),
        (machine.setsockopt, _setsockopt()),
    ):
        lines += [equal(number, no=f"not {number}"), *body, Label(f"not {number}")]
    return assemble([*lines, give(ALLOW)])


def _argument(index: int) -> Line:
    """The lower half of an argument: all that an int has."""
    return load(_ARGUMENTS + 8 * index)


def _clone() -> list[Line]:
    """Threads of this process, in its namespaces."""
    return [
        _argument(0),
        has_any(_CLONE_NEW, yes="no clone"),
        has_any(_CLONE_THREAD, no="no clone"),
        give(ALLOW),
        Label("no clone"),
        give(NO),
    ]


def _socket() -> list[Line]:
    return [
        _argument(0),
        equal(socket.AF_UNIX, yes="fine"),
        equal(socket.AF_NETLINK, yes="netlink"),
        equal(socket.AF_INET, yes="ip"),
        equal(socket.AF_INET6, yes="ip", no="no socket"),
        Label("ip"),
        _argument(1),
        mask(_KIND_BITS),
        equal(socket.SOCK_STREAM, yes="stream or datagrams"),
        equal(socket.SOCK_DGRAM, no="no socket"),
        Label("stream or datagrams"),
        # The kernel refuses UDP as a stream and TCP as datagrams. Other protocols have seen few eyes.
        _argument(2),
        equal(0, yes="fine"),
        equal(socket.IPPROTO_TCP, yes="fine"),
        equal(socket.IPPROTO_UDP, yes="fine", no="no socket"),
        Label("netlink"),
        _argument(2),
        equal(socket.NETLINK_ROUTE, yes="fine"),
        Label("no socket"),
        give(NO),
        Label("fine"),
        give(ALLOW),
    ]


def _socketpair() -> list[Line]:
    return [_argument(0), equal(socket.AF_UNIX, no="no pair"), give(ALLOW), Label("no pair"), give(NO)]


def _prctl() -> list[Line]:
    """Anything but to be open to debuggers again."""
    return [_argument(0), equal(_PR_SET_DUMPABLE, no="other"), give(NO), Label("other"), give(ALLOW)]


def _ioctl() -> list[Line]:
    return [
        _argument(1),
        *(equal(request, yes="fine ioctl") for request in _IOCTLS),
        give(NO),
        Label("fine ioctl"),
        give(ALLOW),
    ]


def _setsockopt() -> list[Line]:
    """Nothing by which a raw socket that came from the guard becomes more than it was."""
    lines: list[Line] = [_argument(1), *(equal(level, yes="known level") for level in _LEVELS), give(NO)]
    lines += [Label("known level")]
    for level, options in _FORGING:
        other = f"not level {level}"
        lines += [_argument(1), equal(level, no=other), _argument(2)]
        lines += [*(equal(option, yes="no option") for option in options), Label(other)]
    return [*lines, give(ALLOW), Label("no option"), give(NO)]
