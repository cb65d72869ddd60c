"""TAPs: what comes out, which offloads the kernel agrees to, and the one sentence when there can be no TAP."""

import asyncio
import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
from types import SimpleNamespace

import pytest
from guard_apart import apart

from rhp.guard import taps
from rhp.guard.kept import KeptTaps
from rhp.guard.local import LocalGuard
from rhp.guard.policy import GuardPolicy
from rhp.guard.protocol import ConfigureLink, Done, OpenTap, Refused, ReleaseAll
from rhp.guard.sandbox import capabilities, process
from rhp.guard.sandbox.capabilities import Capability

HEADER = struct.Struct("=BBHHHH")
"""struct virtio_net_hdr: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset."""
NEEDS_CSUM = 1
_TUNSETIFF, _TUNSETPERSIST, _TUNSETOWNER, _TUNSETQUEUE = 0x400454CA, 0x400454CB, 0x400454CC, 0x400454D9
_DETACH = 0x0400
_GUARD = 177  # Whom the guard is here; nobody in particular.


@pytest.fixture
def opened():
    """Open a TAP whose queues are closed at the end of the test."""
    all_of_them = []

    def open_one(name="rhpt0", queues=1, offload=False):
        one = taps.open_tap(name, queues, offload=offload)
        all_of_them.extend(one.fds)
        return one

    yield open_one
    for descriptor in all_of_them:
        os.close(descriptor)


def flags_of(descriptor):
    return fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC, os.get_blocking(descriptor)


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def features(name):
    """The offloads that the kernel shows for an interface."""
    shown = subprocess.run(["ethtool", "-k", name], check=True, capture_output=True, text=True).stdout
    return {
        key.strip(): value.split()[0] == "on"
        for key, _, value in (line.partition(":") for line in shown.splitlines()[1:])
    }


def udp_frame_of(*queues):
    """The first IPv4 frame that comes out of the queues after a datagram was sent to a neighbour."""
    ip("address", "add", "10.77.0.1/24", "dev", "rhpt0")
    ip("link", "set", "rhpt0", "up")
    ip("neighbour", "add", "10.77.0.2", "lladdr", "02:00:00:00:00:02", "dev", "rhpt0")
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", ("10.77.0.2", 9))
    # What the interface has to say of itself may be on its way at the same time, and in front.
    while ready := select.select(queues, [], [], 30)[0]:
        for queue in ready:
            for data in read_all(queue):
                if b"\x08\x00\x45" in (data[12:15], data[22:25]):
                    return data
    raise AssertionError("no IPv4 frame came out")


def read_all(descriptor):
    """Each frame that waits in a queue, with its header if there is one."""
    while True:
        try:
            yield os.read(descriptor, 70000)
        except BlockingIOError:
            return


def refuse(monkeypatch, refused):
    """Let the kernel say EINVAL to some values of TUNSETOFFLOAD, or to a request as a whole."""
    asked, real = [], fcntl.ioctl

    def ioctl(fd, request, argument=0):
        asked.append((request, argument))
        if refused(request, argument):
            raise OSError(errno.EINVAL, "Invalid argument")
        return 0 if request in (taps._TUNSETOFFLOAD, taps._TUNSETVNETHDRSZ) else real(fd, request, argument)

    monkeypatch.setattr(taps.fcntl, "ioctl", ioctl)
    return asked


@pytest.mark.netns
@pytest.mark.parametrize("offload", [False, True])
def test_a_tap_with_queues(opened, own_network, offload):
    fds = opened(queues=3, offload=offload).fds
    assert len(set(fds)) == 3
    for descriptor in fds:
        assert flags_of(descriptor) == (fcntl.FD_CLOEXEC, False)
        with pytest.raises(BlockingIOError):
            os.read(descriptor, 2000)
    assert socket.if_nametoindex("rhpt0")


@pytest.mark.netns
def test_a_tap_goes_with_its_descriptors(own_network):
    for descriptor in taps.open_tap("rhpt0", 2, offload=True).fds:
        os.close(descriptor)
    with pytest.raises(OSError, match="no interface"):
        socket.if_nametoindex("rhpt0")


@pytest.mark.netns
def test_a_tap_that_exists_is_left_alone(opened, own_network):
    opened()
    with pytest.raises(OSError, match="the interface rhpt0 exists already: is another node running"):
        taps.open_tap("rhpt0", 1, offload=False)
    with pytest.raises(OSError, match="exists already"):
        taps.open_tap("lo", 1, offload=False)


def joined(name="rhpt0"):
    """Join a TAP as one more queue; the number of the error that it ends with, 0 for none."""
    with open("/dev/net/tun", "r+b", buffering=0) as device:  # noqa: PTH123
        try:
            fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), taps._QUEUE))
        except OSError as error:
            return error.errno
    return 0


@pytest.mark.netns
def test_nobody_else_joins_a_tap(opened, own_network, as_nobody):
    opened()
    assert as_nobody(joined) == errno.EPERM
    # Who may change networks still may: so the guard adds queues.
    os.close(taps.add_queue("rhpt0", header=False))


@pytest.mark.netns
def test_the_owner_is_who_made_it(own_network):
    """The guard is no root, and adds queues all the same."""

    def guard():
        process.become(_GUARD, _GUARD, keeping=True)
        capabilities.keep({Capability.NET_ADMIN, Capability.DAC_OVERRIDE})
        (fd,) = taps.open_tap("rhpt0", 1, offload=False).fds
        shown = subprocess.run(["ip", "-d", "link", "show", "rhpt0"], check=True, capture_output=True, text=True).stdout
        os.close(taps.add_queue("rhpt0", header=False))
        os.close(fd)
        return shown.split(" user ")[1].split()[0] != str(_GUARD)

    assert apart(guard) == 0


@pytest.mark.netns
@pytest.mark.parametrize("rests", [False, True])
def test_who_was_quicker_is_found_out(own_network, monkeypatch, rests):
    """Between the making of a TAP and the naming of its owner there is a moment."""
    real, others = taps._open_queue, []

    def slow(name, flags):
        made = real(name, flags)
        others.append(real(name, taps._QUEUE))
        if rests:
            fcntl.ioctl(others[0], _TUNSETQUEUE, struct.pack("16sH22x", b"", _DETACH))
        return made

    monkeypatch.setattr(taps, "_open_queue", slow)
    with pytest.raises(OSError, match="another program has joined the interface rhpt0"):
        taps.open_tap("rhpt0", 1, offload=False)
    assert len(others) == 1
    os.close(others[0])
    with pytest.raises(OSError, match="no interface"):
        socket.if_nametoindex("rhpt0")


@pytest.mark.netns
@pytest.mark.parametrize("joiners", [0, 1])
def test_a_kept_tap_is_taken_over_for_ourselves_alone(own_network, as_nobody, joiners):
    """It may be of a guard that was another user, or that named no owner; and it does not outlive us any more."""
    made = taps.open_tap("rhpt0", 2, offload=False).fds
    fcntl.ioctl(made[0], _TUNSETOWNER, 65534)
    fcntl.ioctl(made[0], _TUNSETPERSIST, 1)
    others = [taps.add_queue("rhpt0", header=False) for _ in range(joiners)]
    manager = SimpleNamespace(there=True, names=lambda: ["tap-rhpt0"], take=lambda name: made)
    kept = KeptTaps(manager, ["rhpt0"])
    if joiners:
        with pytest.raises(OSError, match="another program has joined the interface rhpt0"):
            kept.adopt("rhpt0", 2, offload=False)
    else:
        fds = kept.adopt("rhpt0", 2, offload=False).fds
        assert as_nobody(joined) == errno.EPERM
        others += fds
    for fd in others:
        os.close(fd)
    with pytest.raises(OSError, match="no interface"):
        socket.if_nametoindex("rhpt0")


@pytest.mark.netns
@pytest.mark.parametrize("end", ["rests", "stays", "vanishes"])
def test_a_tap_that_is_made_to_stay_goes_at_the_end(own_network, ask, end):
    """With a service manager the guard leaves it to that one's descriptors; but not if it would be there without."""
    manager = SimpleNamespace(names=list, take=lambda name: (), forget=lambda name: None, keep=lambda name, fds: None)
    manager.there = True
    guard = LocalGuard(GuardPolicy(interfaces=("rhpt0",)), kept=KeptTaps(manager, ["rhpt0"]))
    (fd,) = ask(guard, OpenTap("rhpt0", 1)).fds
    if end == "stays":
        fcntl.ioctl(fd, _TUNSETPERSIST, 1)
    if end == "vanishes":
        ip("link", "del", "rhpt0")
    assert ask(guard, ReleaseAll()) == Done()
    there = "rhpt0" in [name for _, name in socket.if_nameindex()]
    assert there == (end == "rests")


class SlowManager:
    """A service manager that does what it is told when it comes round to it."""

    there = True

    def __init__(self):
        self._told, self._held = [], []

    def names(self):
        return ()

    def take(self, name):
        return ()

    def keep(self, name, fds):
        self._told.append([os.dup(fd) for fd in fds])

    def forget(self, name):
        self._told.append(None)

    def come_round(self):
        for fds in self._told:
            for fd in self._held if fds is None else ():
                os.close(fd)
            self._held = fds or []
        self._told = []


@pytest.mark.netns
def test_what_a_manager_keeps_is_not_in_the_way_of_the_same_run(own_network):
    """The node lets go of a TAP that it cannot set up, or gives its name to another hub; the manager has it still."""
    manager = SlowManager()
    guard = LocalGuard(GuardPolicy(interfaces=("rhpt0",)), kept=KeptTaps(manager, ["rhpt0"]))
    # Bare, for the fixture closes descriptors at the end only.
    (fd,) = asyncio.run(guard.ask(OpenTap("rhpt0", 1))).fds
    manager.come_round()
    assert isinstance(asyncio.run(guard.ask(ConfigureLink("rhpt0", bridge="br9"))), Refused)
    os.close(fd)
    first = socket.if_nametoindex("rhpt0")
    assert isinstance(asyncio.run(guard.ask(OpenTap("rhpt0", 1))), Refused)
    manager.come_round()
    assert "rhpt0" not in [name for _, name in socket.if_nameindex()]
    (fd,) = asyncio.run(guard.ask(OpenTap("rhpt0", 1))).fds
    manager.come_round()
    os.close(fd)
    # The one that serves now is kept as the first one was.
    assert socket.if_nametoindex("rhpt0") != first
    manager.forget("rhpt0")
    manager.come_round()
    assert "rhpt0" not in [name for _, name in socket.if_nameindex()]


@pytest.mark.parametrize("name", ["", "a" * 16, "a/b", "a b", "ä"])
def test_names_that_no_interface_may_have(name):
    with pytest.raises(OSError, match="is not an interface name"):
        taps.open_tap(name, 1, offload=False)


@pytest.mark.parametrize("queues", [0, -1, 257])
def test_numbers_of_queues_that_are_none(queues):
    with pytest.raises(OSError, match="queues"):
        taps.open_tap("rhpt0", queues, offload=False)


def test_without_the_tun_device(monkeypatch, tmp_path):
    def missing(name, flags):
        raise taps.pytun.Error(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(taps.pytun, "TunTapDevice", missing)
    monkeypatch.setattr(taps, "_TUN_DEVICE", tmp_path / "net" / "tun")
    with pytest.raises(OSError, match="is missing: load the tun module"):
        taps.open_tap("rhpt0", 1, offload=False)


@pytest.mark.netns
def test_without_offloads_no_header_leads_the_frames(opened, own_network):
    tap = opened()
    assert tap.offloads == 0
    assert not features("rhpt0")["tcp-segmentation-offload"]
    assert udp_frame_of(tap.fds[0])[12:14] == b"\x08\x00"


@pytest.mark.netns
def test_everything_that_this_kernel_knows_is_in_use(opened, own_network):
    tap = opened(queues=2, offload=True)
    assert tap.offloads == taps.STEPS[0]
    shown = features("rhpt0")
    for name in ("tx-checksum-ip-generic", "tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-udp-segmentation"):
        assert shown[name]


@pytest.mark.netns
def test_the_header_tells_of_an_unfinished_checksum(opened, own_network):
    data = udp_frame_of(opened(offload=True).fds[0])
    flags, kind, _, size, start, offset = HEADER.unpack_from(data)
    assert (flags & NEEDS_CSUM, kind, size, start, offset) == (NEEDS_CSUM, 0, 0, 14 + 20, 6)
    assert data[22:24] == b"\x08\x00"


@pytest.mark.parametrize("step", range(len(taps.STEPS)))
def test_each_step_back_is_tried(monkeypatch, step):
    refused = taps.STEPS[:step]
    asked = refuse(monkeypatch, lambda _, argument: argument in refused)
    assert taps.set_offloads(3) == taps.STEPS[step]
    assert [argument for request, argument in asked if request == taps._TUNSETOFFLOAD] == list(taps.STEPS[: step + 1])


def test_both_kinds_of_udp_super_frames_or_neither():
    both = taps.USO4 | taps.USO6
    assert all(step & both in (0, both) for step in taps.STEPS)


@pytest.mark.netns
@pytest.mark.parametrize("request_number", [taps._TUNSETOFFLOAD, taps._TUNSETVNETHDRSZ])
def test_a_kernel_without_any_of_it_gives_a_plain_tap(opened, own_network, monkeypatch, request_number):
    refuse(monkeypatch, lambda request, _: request == request_number)
    tap = opened(queues=2, offload=True)
    assert (len(tap.fds), tap.offloads) == (2, 0)
    assert udp_frame_of(tap.fds[0], *tap.fds[1:])[12:14] == b"\x08\x00"
