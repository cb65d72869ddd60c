"""Name servers that a peer assigned, handed to whatever looks up names on this machine.

With systemd-resolved running, it is told by resolvectl, for our link alone; it knows which names to ask where. Else
resolvconf is told, if it is there; else resolv.conf is written. The latter two ask one set of servers for everything,
so servers that are for some names only are refused there: asking them for all would tell them what does not concern
them, and fail for the rest.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

from rhp.guard.addresses import address
from rhp.guard.policy import GuardPolicy
from rhp.guard.protocol import SetDns
from rhp.guard.resolvfile import ResolvConf
from rhp.guard.undo import UndoLog

PATIENCE = 10.0
"""Seconds for a program, all of which may pass when the service ends."""

COLLECTING = 1.0
"""Seconds to hear that one is dead that was killed."""

_MOST = 64
_DENIED = re.compile(r"access denied|authentication", re.IGNORECASE)
_POLKIT_RULES = Path(__file__).parents[1] / "data" / "polkit.rules"
"""systemd-resolved asks polkit whether somebody who is not root may do this."""
_DOMAIN = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")


class ResolverError(Exception):
    """It could not be done; the message is one sentence."""


class Resolver:
    """Sets and takes back the name servers of an interface; `recover` mends what a killed node left behind."""

    def __init__(self, undo: UndoLog, policy: GuardPolicy) -> None:
        self._undo = undo
        self._resolved = Path(policy.resolved)
        self._file = ResolvConf(Path(policy.resolv_conf), Path(policy.state_dir))

    def recover(self) -> None:
        """A node that was killed could not put resolv.conf back: do that now."""
        self._file.restore()

    async def set(self, question: SetDns) -> None:
        """Raises `ResolverError`, and ValueError for what is no address or no name."""
        servers, domains = _checked(question)
        name = question.interface
        if self._resolved.is_dir() and shutil.which("resolvectl"):
            self._note(name)
            await _run("resolvectl", "dns", name, *servers)
            await _run("resolvectl", "domain", name, *(f"~{one}" for one in domains or (".",)))
            await _run("resolvectl", "default-route", name, "no" if domains else "yes")
            return
        if domains:
            raise ResolverError("name servers for some names only need systemd-resolved, which does not run here")
        if _has_resolvconf():
            self._note(name)
            text = "".join(f"nameserver {one}\n" for one in servers)
            await _run("resolvconf", "-a", _record(name), text=text)
            return
        self._note(name)
        try:
            self._file.write(name, servers)
        except OSError as error:
            raise ResolverError(f"{self._file.path} cannot be written: {error.strerror or error}") from None

    async def clear(self, name: str) -> None:
        """Raises `ResolverError`; where nothing was set, nothing happens."""
        if _entry(name) in self._undo:
            await self._take_back(name)
            self._undo.forget(_entry(name))

    def _note(self, name: str) -> None:
        self._undo.add(_entry(name), partial(self._take_back, name))

    async def _take_back(self, name: str) -> None:
        if self._file.restore():
            return
        if self._resolved.is_dir() and shutil.which("resolvectl"):
            await _run("resolvectl", "revert", name)
        elif _has_resolvconf():
            await _run("resolvconf", "-d", _record(name))


def _checked(question: SetDns) -> tuple[list[str], list[str]]:
    """Servers and names in a form that is safe on a command line and in a file."""
    servers = [str(address(one)) for one in question.servers[:_MOST]]
    domains = list(question.domains[:_MOST])
    if not servers:
        raise ValueError("there is no name server to set")
    for one in domains:
        if not _DOMAIN.fullmatch(one):
            raise ValueError("one of the names is no name of a domain")
    return servers, domains


def _has_resolvconf() -> bool:
    """Whether there is one that is not systemd-resolved in disguise."""
    found = shutil.which("resolvconf")
    return found is not None and Path(found).resolve().name != "resolvectl"


def _record(name: str) -> str:
    """The record of resolvconf(8): those of tunnels come before those of other links."""
    return f"tun.{name}"


def _entry(name: str) -> str:
    return f"name servers of {name}"


async def _run(*command: str, text: str = "") -> None:
    process = await _begin(*command)
    try:
        _, said = await asyncio.wait_for(process.communicate(text.encode()), PATIENCE)
    except TimeoutError:
        await _end(process)
        raise ResolverError(f"{command[0]} did not end within {PATIENCE:.0f} s") from None
    except BaseException:
        # Nor may it go on, after a cancellation, beside what takes it back.
        await _end(process)
        raise
    if process.returncode:
        words = said.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"status {process.returncode}"]
        hint = f"; copy {_POLKIT_RULES} to /etc/polkit-1/rules.d" if _DENIED.search(words[0]) else ""
        raise ResolverError(f"{' '.join(command[:2])} failed: {words[0]}{hint}")


async def _begin(*command: str) -> asyncio.subprocess.Process:
    """Start it. Cancelled in the middle of that, asyncio would end it alone and wait for whatever it has started."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(OSError):
            await _end(await starting)
        raise


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it with all that it started: resolvconf(8) is a shell script, and what hangs is mostly a child of it.

    Whatever has left its session may hold its pipes for ever, and is not waited for.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # asyncio waits for the other end of each pipe, and has no other way to be rid of them.
    process._transport.close()  # type: ignore[attr-defined]
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), COLLECTING)
