"""The node's process, as the guard has it: started, told who to be, watched, and ended when it does not end itself."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import site
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

from rhp.guard.channel import Channel, pair
from rhp.guard.kinds import Start
from rhp.guard.memory import sealed
from rhp.guard.messages import build_note
from rhp.guard.reading import PYTHON

MODULE = "rhp.node.process"

_KNOWN = re.compile(
    r"LANG(UAGE)?|LC_\w+|TZ(DIR)?|PATH|JOURNAL_STREAM|PYTHON\w+|RHP_\w+|OPENSSL_\w+|LD_\w+|(A|T|UB|L)SAN_OPTIONS|"
    r"SSL_CERT_(FILE|DIR)|(https?|all|no)_proxy|(HTTPS?|ALL|NO)_PROXY"
)


class Child:
    """Starts the node at once: it loads its code while the configuration is read, and waits for `begin`."""

    def __init__(self) -> None:
        ours, theirs = pair()
        try:
            command = [*PYTHON, MODULE, str(theirs.fileno())]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),), env=environment(os.environ)
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.channel = Channel(ours, self._process.pid, bare=True)

    @property
    def pid(self) -> int:
        """Its process id; it stays ours until `wait` or `end` has collected it."""
        return self._process.pid

    def begin(self, start: Start, share: bytes, kept: Sequence[int]) -> None:
        """Tell it who to be and what to serve; `kept` are descriptors that live as long as it does."""
        file = sealed("rhp-configuration", share)
        try:
            self.channel.send(build_note(start), (file, *kept))
        finally:
            os.close(file)

    async def wait(self) -> int:
        """Wait for its end and return its status, negative for a signal."""
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        watched = os.pidfd_open(self.pid)
        try:
            loop.add_reader(watched, ended.set_result, None)
            await ended
        finally:
            loop.remove_reader(watched)
            os.close(watched)
        return self._process.wait()

    def kill(self) -> None:
        """End it at once, where it has not ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """End it at once and collect it. Safe twice."""
        if self._process.returncode is None:
            self.kill()
            self._process.wait()
        self.channel.close()


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """What the node is told of ours: what Python and its libraries go by, and what is meant for rhp (`RHP_...`).

    Root's environment is nothing for who reads the network: people have passwords in it. Where `pip install --user`
    put things goes by HOME, which the node has no other use for.
    """
    known = {name: value for name, value in ours.items() if _KNOWN.fullmatch(name)}
    return known | {"PYTHONUSERBASE": site.getuserbase()}
