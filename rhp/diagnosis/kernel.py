"""What the kernel gives: the TUN device with its offloads, and trains of UDP datagrams."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterator
from pathlib import Path

from rhp.diagnosis.finding import Finding, fine, note, problem

TUN = Path("/dev/net/tun")
PROBE = "rhp-doctor"
"""The TAP that is made for a moment, to see what the kernel agrees to."""
_SOL_UDP, _UDP_SEGMENT, _UDP_GRO = 17, 103, 104
_CSUM, _TSO, _USO = 0x01, 0x06, 0x60  # TUN_F_* of linux/if_tun.h.


def look() -> Iterator[Finding]:
    """Everything about the kernel."""
    yield from tap()
    yield from trains()
    yield from processor()


def tap(device: Path = TUN) -> Iterator[Finding]:
    """Whether a TAP can be made, and which super-frames it takes."""
    from rhp.guard.taps import open_tap

    subject = "tap"
    if not device.exists():
        yield problem(subject, f"there is no {device}", "run modprobe tun, or give the container that device")
        return
    try:
        opened = open_tap(PROBE, 1, offload=True)
    except OSError as error:
        yield problem(
            subject,
            f"a TAP cannot be made: {error.strerror or error}",
            "ask as root; in a container, add the NET_ADMIN capability and /dev/net/tun",
        )
        return
    for fd in opened.fds:
        os.close(fd)
    yield fine(subject, "a TAP can be made")
    yield _offloads(opened.offloads)


def _offloads(bits: int) -> Finding:
    subject = "offloads"
    if bits & (_CSUM | _TSO) != _CSUM | _TSO:
        return note(
            subject, "the TAP takes no TCP super-frames, so each packet costs a call", "use a kernel from 4.0 on"
        )
    if bits & _USO != _USO:
        return note(
            subject, "the TAP takes TCP super-frames, but none of UDP", "use a kernel from 6.2 on for faster UDP"
        )
    return fine(subject, "the TAP takes super-frames of TCP and UDP")


def trains() -> Iterator[Finding]:
    """UDP_SEGMENT and UDP_GRO (udp(7)): many datagrams in one call."""
    lacking = [words for option, value, words in _OPTIONS if not _takes(option, value)]
    if lacking:
        yield note(
            "trains",
            f"kernel {platform.release()} does not {' nor '.join(lacking)}, so each packet costs a call",
            "use a kernel from 5.0 on",
        )
    else:
        yield fine("trains", "the kernel sends and receives UDP datagrams in trains (GSO, GRO)")


_OPTIONS = ((_UDP_SEGMENT, 1200, "send UDP in trains"), (_UDP_GRO, 1, "receive UDP in trains"))


def _takes(option: int, value: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(_SOL_UDP, option, value)
        except OSError:
            return False
    return True


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Iterator[Finding]:
    """Whether AES is done by the processor itself."""
    try:
        words = {word for line in cpuinfo.read_text().splitlines() if _is_flags(line) for word in line.split()}
    except OSError:
        return
    if words and "aes" not in words:
        yield note(
            "processor",
            "the processor has no instructions for AES",
            "write chacha20poly1305 first in the esp_proposals of both ends",
        )
    elif words:
        yield fine("processor", "the processor has instructions for AES")


def _is_flags(line: str) -> bool:
    return line.lower().startswith(("flags", "features"))
