"""Whether this machine's clock can be believed: certificates have dates."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import rhp
from rhp.diagnosis.finding import Finding, fine, note, problem

SUBJECT = "clock"
_STA_UNSYNC = 0x40
_ROOM = 512
"""Octets for a struct timex, which is smaller everywhere."""


def look(now: datetime | None = None) -> Iterator[Finding]:
    """Judge the clock without asking anybody on the network; `now` is aware."""
    now = now or datetime.now(UTC)
    written = _newest_file()
    if now < written:
        yield problem(
            SUBJECT,
            f"the clock says {now:%Y-%m-%d %H:%M} UTC, and rhp was installed on {written:%Y-%m-%d}, so certificates "
            "seem not to be valid yet",
            "set the clock, as with chronyd -q or timedatectl set-time",
        )
        return
    if synchronised() is False:
        yield note(
            SUBJECT,
            f"the clock says {now:%Y-%m-%d %H:%M} UTC, and nothing keeps it right",
            "run chrony or systemd-timesyncd, so that certificates are judged by the right date",
        )
        return
    yield fine(SUBJECT, f"the clock says {now:%Y-%m-%d %H:%M} UTC")


def synchronised() -> bool | None:
    """Whether the kernel's clock is kept by somebody (adjtimex(2)); None where that cannot be asked."""
    timex = ctypes.create_string_buffer(_ROOM)  # Its first member, `modes`, is 0: only read.
    if ctypes.CDLL(None, use_errno=True).adjtimex(timex) < 0:
        return None
    # unsigned modes; long offset, freq, maxerror, esterror; int status.
    at = 5 * ctypes.sizeof(ctypes.c_long)
    status = int.from_bytes(timex.raw[at : at + 4], sys.byteorder)
    return not status & _STA_UNSYNC


def _newest_file() -> datetime:
    """When the newest file of this program was written here, which is not in the future."""
    folder = Path(rhp.__file__).parent
    return datetime.fromtimestamp(max(one.stat().st_mtime for one in folder.glob("*.py")), UTC)
