"""What a process gives up, in a process of its own that has then given it up."""

import errno
import os
import socket
import struct
import threading

import pytest
from guard_apart import apart, refusal

from rhp.guard.policy import GuardPolicy
from rhp.guard.sandbox import calls, capabilities, guard, landlock, process, seccomp
from rhp.guard.sandbox.bpf import Label, assemble, equal, give, load
from rhp.guard.sandbox.capabilities import Capability

ALLOWED, REFUSED = seccomp.ALLOW, seccomp.NO
X86, ARM = calls.MACHINES["x86_64"], calls.MACHINES["aarch64"]


def judge(program, number, *arguments, audit=X86.audit):
    """What a filter says of a call: classic BPF, as far as such filters use it."""
    seen = struct.pack("=iIQ6Q", number, audit, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    steps = list(struct.iter_unpack("=HBBI", program))
    at = value = 0
    while True:
        code, yes, no, k = steps[at]
        at += 1
        if code == 0x20:
            (value,) = struct.unpack_from("=I", seen, k)
        elif code == 0x54:
            value &= k
        elif code == 0x06:
            return k
        else:
            at += yes if {0x15: value == k, 0x35: value >= k, 0x45: value & k}[code] else no


@pytest.fixture(scope="module")
def x86():
    return seccomp.program(X86)


def test_what_a_node_needs_passes(x86):
    # read, write, epoll_wait, recvmmsg, sendmmsg, futex, mmap, openat, connect, kill (which Landlock looks at).
    for number in (0, 1, 232, 299, 307, 202, 9, 257, 42, 62):
        assert judge(x86, number) == ALLOWED


def test_what_it_has_no_use_for_does_not(x86):
    for number in calls.denied(X86):
        assert judge(x86, number) == REFUSED
    assert judge(seccomp.program(ARM), 221, audit=ARM.audit) == REFUSED


def test_a_call_in_the_way_of_another_architecture_ends_it(x86):
    assert judge(x86, 11, audit=0x40000003) == seccomp.KILL
    assert judge(x86, calls.X32_BIT | 1) == REFUSED


@pytest.mark.parametrize(
    ("family", "kind", "protocol", "verdict"),
    [
        (socket.AF_UNIX, socket.SOCK_STREAM, 0, ALLOWED),
        (socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0, ALLOWED),
        (socket.AF_INET6, socket.SOCK_STREAM, 0, ALLOWED),
        (socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE, ALLOWED),
        (socket.AF_INET, socket.SOCK_RAW, 1, REFUSED),
        (socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 58, REFUSED),
        (socket.AF_PACKET, socket.SOCK_RAW, 3, REFUSED),
        (socket.AF_PACKET, socket.SOCK_DGRAM, 3, REFUSED),
        (socket.AF_NETLINK, socket.SOCK_RAW, 12, REFUSED),
        (40, socket.SOCK_STREAM, 0, REFUSED),  # AF_VSOCK
        (38, 5, 0, REFUSED),  # AF_ALG
    ],
)
def test_which_sockets_pass(x86, family, kind, protocol, verdict):
    assert judge(x86, X86.socket, family, kind, protocol) == verdict


def test_threads_pass_and_processes_do_not(x86):
    thread = 0x3D0F00
    assert judge(x86, X86.clone, thread) == ALLOWED
    assert judge(x86, X86.clone, 17) == REFUSED
    assert judge(x86, X86.clone, thread | 0x10000000) == REFUSED
    assert judge(x86, calls.CLONE3) == seccomp.NO_SUCH_CALL


def test_which_ioctls_and_prctls_do_not_pass(x86):
    for request, verdict in ((0x400454CA, REFUSED), (0x5412, REFUSED), (0x5421, ALLOWED)):
        assert judge(x86, X86.ioctl, 3, request) == verdict
    assert judge(x86, X86.prctl, 4, 1) == REFUSED
    assert judge(x86, X86.prctl, 15) == ALLOWED


def test_a_label_must_be_further_on_and_near():
    assert assemble([load(0), equal(1, yes="there"), give(0), Label("there"), give(1)])
    with pytest.raises(ValueError, match="no way"):
        assemble([Label("back"), equal(1, yes="back"), give(0)])
    with pytest.raises(ValueError, match="no way"):
        assemble([equal(1, yes="nowhere"), give(0)])
    with pytest.raises(ValueError, match="no way"):
        assemble([equal(1, yes="far"), *[give(0)] * 300, Label("far"), give(1)])


def test_the_filter_is_the_kernels():
    def act():
        process.close_up()
        seccomp.restrict()
        threading.Thread(target=lambda: None).start()
        return refusal(lambda: os.fork() or os._exit(0))

    assert apart(act) == errno.EPERM


def test_it_counts_for_threads_that_were_there_before():
    def act():
        wait, said = threading.Event(), []

        def later():
            wait.wait()
            said.append(refusal(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)))

        thread = threading.Thread(target=later)
        thread.start()
        process.close_up()
        seccomp.restrict()
        wait.set()
        thread.join()
        return said[0]

    assert apart(act) == errno.EPERM


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mine/x", 0), ("theirs/x", errno.EACCES), ("read/x", errno.EACCES), ("nowhere", errno.EACCES)],
)
def test_files_that_may_be_written(tmp_path, name, expected):
    for folder in ("mine", "theirs", "read"):
        (tmp_path / folder).mkdir()

    def act():
        rules = landlock.Ruleset()
        rules.allow(landlock.WRITE, [str(tmp_path / "mine"), str(tmp_path / "absent")])
        rules.allow(landlock.READ, [str(tmp_path / "read")])
        process.close_up()
        rules.restrict()
        list((tmp_path / "read").iterdir())
        return refusal(lambda: (tmp_path / name).write_bytes(b"x"))

    assert apart(act) == expected


def test_capabilities_are_kept_or_gone():
    def act():
        capabilities.bound({Capability.NET_RAW})
        process.become(65534, 65534, keeping=True)
        capabilities.keep({Capability.NET_RAW})
        socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()
        return refusal(lambda: os.setresuid(0, 0, 0))

    assert apart(act) == errno.EPERM


def test_they_have_names():
    assert capabilities.names(0) == []
    assert capabilities.names(1 << 12 | 1 << 5 | 1 << 21) == ["KILL", "NET_ADMIN", "21"]


def test_the_guard_keeps_what_its_policy_takes(tmp_path):
    tun = tmp_path / "tun"
    tun.touch(mode=0o666)
    tun.chmod(0o666)
    names = ("NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE", "KILL", "DAC_READ_SEARCH")
    always = {Capability[name] for name in names}
    assert guard.needed(GuardPolicy(), tun) == always
    assert guard.needed(GuardPolicy(by_station=True), tun) == always | {Capability.BPF}
    assert guard.needed(GuardPolicy(assigned=True), tun) == always | {Capability.DAC_OVERRIDE, Capability.CHOWN}
    tun.chmod(0o600)
    assert guard.needed(GuardPolicy(), tun) == always | {Capability.DAC_OVERRIDE}


def test_a_container_that_gives_root_too_little_is_told_what_is_missing():
    needed = guard.needed(GuardPolicy()) | guard.STARTING
    assert guard.lacking(GuardPolicy(), needed) == []
    assert guard.lacking(GuardPolicy(), needed - {Capability.NET_ADMIN, Capability.SETUID}) == ["NET_ADMIN", "SETUID"]


def test_what_root_may_do_is_read_from_the_kernel(tmp_path):
    (tmp_path / "status").write_text("Name:\trhp\nCapPrm:\t0000000000001004\nCapEff:\t0\n")
    assert capabilities.permitted(tmp_path / "status") == {Capability.DAC_READ_SEARCH, Capability.NET_ADMIN}
    assert Capability.NET_ADMIN in capabilities.permitted()
