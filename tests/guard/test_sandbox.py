"""What a process gives up, in a process of its own that has then given it up."""

import errno
import fcntl
import os
import socket
import struct
import threading

import pytest
from guard_apart import apart, refusal

from rhp.guard import sockets, taps
from rhp.guard.kinds import Start
from rhp.guard.policy import GuardPolicy
from rhp.guard.sandbox import calls, capabilities, guard, landlock, namefiles, node, process, seccomp
from rhp.guard.sandbox.accounts import Accounts
from rhp.guard.sandbox.bpf import Label, assemble, equal, give, load
from rhp.guard.sandbox.capabilities import Capability
from rhp.net.link import link_up

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
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, ALLOWED),
        (socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_UDP, ALLOWED),
        (socket.AF_INET, socket.SOCK_STREAM, 132, REFUSED),  # SCTP
        (socket.AF_INET6, socket.SOCK_STREAM, 262, REFUSED),  # MPTCP
        (socket.AF_INET, socket.SOCK_DGRAM, 115, REFUSED),  # L2TP
        (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP, REFUSED),
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
    # TUNSETIFF, TIOCSTI, TIOCLINUX, SIOCSIFHWADDR; FIONBIO, TCGETS.
    for request in (0x400454CA, 0x5412, 0x541C, 0x8924):
        assert judge(x86, X86.ioctl, 3, request) == REFUSED
    for request in (0x5421, 0x5401):
        assert judge(x86, X86.ioctl, 3, request) == ALLOWED
        assert judge(x86, X86.ioctl, 3, request | 1 << 40) == ALLOWED  # The kernel does not look further either.
    assert judge(x86, X86.prctl, 4, 1) == REFUSED
    assert judge(x86, X86.prctl, 15) == ALLOWED


@pytest.mark.parametrize(
    ("level", "option", "verdict"),
    [
        (socket.IPPROTO_IP, 3, REFUSED),  # IP_HDRINCL
        (socket.IPPROTO_IP, 15, REFUSED),  # IP_FREEBIND
        (socket.IPPROTO_IPV6, 36, REFUSED),  # IPV6_HDRINCL
        (socket.IPPROTO_IPV6, 78, REFUSED),  # IPV6_FREEBIND
        (255, 1, REFUSED),  # ICMP_FILTER
        (socket.IPPROTO_ICMPV6, 1, REFUSED),
        (279, 1, REFUSED),  # SOL_ALG
        (270, 11, ALLOWED),  # SOL_NETLINK, NETLINK_EXT_ACK
        (269, 1, REFUSED),
        (socket.IPPROTO_IP, 8, ALLOWED),  # IP_PKTINFO
        (socket.IPPROTO_IP, 36, ALLOWED),
        (socket.IPPROTO_IPV6, 3, ALLOWED),
        (socket.IPPROTO_IPV6, 23, ALLOWED),  # IPV6_MTU_DISCOVER
        (socket.SOL_SOCKET, 3, ALLOWED),
        (socket.SOL_SOCKET, 51, ALLOWED),  # SO_ATTACH_REUSEPORT_CBPF
        (socket.IPPROTO_UDP, 104, ALLOWED),  # UDP_GRO
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, ALLOWED),
    ],
)
def test_which_options_of_sockets_pass(x86, level, option, verdict):
    assert judge(x86, X86.setsockopt, 3, level, option) == verdict


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


def test_a_thread_that_has_a_filter_of_its_own_is_no_secret():
    def act():
        process.close_up()
        made, end = threading.Event(), threading.Event()

        def later():
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(seccomp, "_FLAG_ALL_THREADS", 0)
                seccomp.restrict()
            made.set()
            end.wait()

        thread = threading.Thread(target=later)
        thread.start()
        made.wait()
        found = refusal(seccomp.restrict)
        end.set()
        return found

    assert apart(act) == errno.EBUSY


@pytest.mark.parametrize("who", ["guard", "node"])
def test_with_a_thread_that_would_stay_root_nothing_is_given_up(who):
    def act():
        end = threading.Event()
        threading.Thread(target=end.wait).start()
        accounts = Accounts(65534, 65534, 65534, 65534)
        enters = {
            "guard": lambda: guard.enter(accounts, GuardPolicy()),
            "node": lambda: node.enter(Start(65534, 65534, ())),
        }
        found = refusal(enters[who])
        end.set()
        return found if os.geteuid() == 0 else 98

    assert apart(act) == errno.EBUSY


_TAP_IOCTLS = {
    # TUNSETNOCSUM, TUNSETIFF, TUNSETPERSIST, TUNSETOWNER, TUNSETLINK, TUNSETGROUP, TUNATTACHFILTER,
    # TUNSETSNDBUF, TUNSETVNETHDRSZ, TUNSETQUEUE, TUNSETSTEERINGEBPF, TUNSETFILTEREBPF, TUNSETCARRIER.
    *(0x400454C8, 0x400454CA, 0x400454CB, 0x400454CC, 0x400454CD, 0x400454CE, 0x401054D5),
    *(0x400454D4, 0x400454D8, 0x400454D9, 0x800454E0, 0x800454E1, 0x400454E2),
    0x8924,  # SIOCSIFHWADDR
}


@pytest.mark.netns
def test_a_tap_cannot_be_changed_by_who_has_its_descriptor(own_network):
    """As the node has it: handed over, and then asked for whatever tun(4) knows."""
    (fd,) = taps.open_tap("rhpt0", 1, offload=True).fds

    def act():
        process.become(65534, 65534, keeping=False)
        process.close_up()
        seccomp.restrict()
        room = bytearray(40)
        if {refusal(lambda one=one: fcntl.ioctl(fd, one, room)) for one in _TAP_IOCTLS} != {errno.EPERM}:
            return 1
        # What the data planes do is allowed: TUNGETIFF, TUNSETOFFLOAD, and whether it is up.
        fcntl.ioctl(fd, 0x800454D2, room)
        fcntl.ioctl(fd, 0x400454D0, 0)
        link_up("rhpt0")
        os.set_blocking(fd, False)
        return 0 if not os.isatty(fd) else 2

    assert apart(act) == 0
    os.close(fd)
    with pytest.raises(OSError, match="no interface"):
        socket.if_nametoindex("rhpt0")


@pytest.mark.netns
@pytest.mark.parametrize("family", [4, 6])
def test_a_raw_socket_forges_no_source(own_network, family):
    """With the guard's socket and IP_HDRINCL, or IP_FREEBIND, a packet would have any source address."""
    fd = sockets.open_raw_esp(family)
    level, headers, freely = ((socket.IPPROTO_IP, 3, 15), (socket.IPPROTO_IPV6, 36, 78))[family == 6]

    def act():
        process.become(65534, 65534, keeping=False)
        process.close_up()
        with socket.socket(fileno=fd) as raw, socket.socket(raw.family, socket.SOCK_DGRAM) as own:
            seccomp.restrict()
            tried = {
                refusal(lambda one=one, option=option: one.setsockopt(level, option, 1))
                for one in (raw, own)
                for option in (headers, freely)
            }
            return 0 if tried == {errno.EPERM} and raw.proto == 50 else 1

    assert apart(act) == 0
    os.close(fd)


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


@pytest.mark.parametrize(
    ("leads_to", "expected"),
    [
        ("run/NetworkManager/resolv.conf", "run/NetworkManager"),
        ("run/systemd/resolve/stub-resolv.conf", "run/systemd/resolve"),
        # Nothing broad, and nothing where keys are: only the file.
        ("run/resolv.conf", "run/resolv.conf"),
        ("run/secrets/resolv.conf", "run/secrets/resolv.conf"),
        ("run/user/0/resolv.conf", "run/user/0/resolv.conf"),
        ("root/resolv.conf", "root/resolv.conf"),
        ("resolv.conf", "resolv.conf"),
        ("etc/keys/resolv.conf", "etc/keys/resolv.conf"),
        ("etc/other.conf", None),
        # Not there yet: its daemon begins later.
        ("run/connman/resolv.conf", "run/connman"),
        # A folder in its place.
        ("root", None),
    ],
)
def test_where_the_files_lie_that_names_are_looked_up_by(tmp_path, leads_to, expected):
    (tmp_path / "etc").mkdir()
    (tmp_path / "root").mkdir()
    link = tmp_path / "etc" / "resolv.conf"
    link.symlink_to(tmp_path / leads_to)
    plain = tmp_path / "etc" / "hosts"
    plain.touch()
    found = namefiles.behind((link, plain), tmp_path / "run")
    assert found == ([str(tmp_path / expected)] if expected else [])


def test_a_resolv_conf_in_run_is_read_also_when_it_was_replaced(tmp_path, monkeypatch):
    folder = tmp_path / "run" / "NetworkManager"
    folder.mkdir(parents=True)
    (folder / "resolv.conf").write_text("nameserver 192.0.2.53")
    link = tmp_path / "resolv.conf"
    link.symlink_to(folder / "resolv.conf")
    secret = tmp_path / "run" / "secret"
    secret.touch()
    monkeypatch.setattr(namefiles.behind, "__defaults__", ((link,), tmp_path / "run"))

    rules = node._rules(Start(65534, 65534, ()), [])
    (folder / "new").write_text("nameserver 192.0.2.54")
    (folder / "new").rename(folder / "resolv.conf")

    def reads():
        process.close_up()
        rules.restrict()
        return refusal(secret.read_text) if link.resolve().read_text() == "nameserver 192.0.2.54" else 98

    assert apart(reads) == errno.EACCES


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
