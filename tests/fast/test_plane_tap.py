"""A real TAP in a namespace of its own: frames cross, and a TAP that is down or gone is survived."""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import threading

import pytest
from planes import BROADCAST, SECONDS, TAP_MAC, Rig, frame, mac, wait_for

pytestmark = pytest.mark.netns

TUNSETIFF, IFF_TAP, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 0x2, 0x1000, 0x40000000
ONE = mac(1)


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def in_namespace(test):
    """Runs a function in a thread that has left for a new network namespace, where the name of a TAP is free."""
    failures = []

    def run():
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "unshare")
            ip("link", "set", "lo", "up")
            test()
        except BaseException as error:  # It is raised again by the caller.
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def open_tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    ip("link", "set", name, "address", TAP_MAC.hex(":"))
    return fd


def test_a_tap_comes_and_goes():
    def story():
        fd = open_tap("rhp0")
        with Rig(start=False) as rig, socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5)) as host:
            rig.plane.attach_tap(0, fd, TAP_MAC)
            rig.plane.start()
            peer = rig.peer()
            peer.send_frame(frame(BROADCAST, ONE))
            rig.wait_count("drop-tap-down")
            ip("link", "set", "rhp0", "up")
            host.bind(("rhp0", 0x88B5))
            host.settimeout(SECONDS)
            peer.send_frame(frame(BROADCAST, ONE))
            assert host.recv(2000) == frame(BROADCAST, ONE)
            host.send(frame(ONE, TAP_MAC))
            wait_for(lambda: frame(ONE, TAP_MAC) in [payload[2:] for payload in peer.pending()])
            ip("link", "del", "rhp0")
            assert rig.wait_event("tap-lost")[1] == 0
            peer.send_frame(frame(BROADCAST, ONE))
            rig.wait_count("drop-tap-lost")
            peer.send_raw(bytes(4) + b"still here")
            assert rig.wait_event("ike")[5] == b"still here"
        os.close(fd)

    in_namespace(story)
