"""What must hold of the programs of `[[hooks]]`, which run on this machine, some of them as root."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from rhp.config.model import Configuration, Hook
from rhp.config.reading import Findings
from rhp.config.suggest import nearest, one_of
from rhp.node.hook_events import EVENTS

MOST_HOOKS = 32


def check_hooks(configuration: Configuration, findings: Findings) -> None:
    """Note the mistakes of every hook."""
    if len(configuration.hooks) > MOST_HOOKS:
        message = (
            f"there are {len(configuration.hooks)}; write at most {MOST_HOOKS}, of which one may do several things"
        )
        findings.add(("hooks",), message)
    for index, hook in enumerate(configuration.hooks):
        here = ("hooks", index)
        _check_events(here, hook, findings)
        _check_command(here, hook, findings)
        _check_user(here, hook, findings)
        if not hook.timeout:
            findings.add((*here, "timeout"), "it would be ended as it begins; write a number of seconds, such as 10")


def _check_events(here: tuple[str | int, ...], hook: Hook, findings: Findings) -> None:
    if not hook.on and not findings.was_wrong(*here, "on"):
        findings.add((*here, "on"), f"it would never run; write {one_of(EVENTS)}")
    for place, event in enumerate(hook.on):
        if event not in EVENTS:
            findings.add(
                (*here, "on", place), f'"{event}" never happens; write {nearest(event, EVENTS) or one_of(EVENTS)}'
            )


def _check_command(here: tuple[str | int, ...], hook: Hook, findings: Findings) -> None:
    place = (*here, "command")
    if not hook.command:
        if not findings.was_wrong(*place):
            findings.add(place, 'it is missing; write the program and its arguments, such as ["/usr/local/bin/up"]')
        return
    program = Path(hook.command[0])
    if not program.is_absolute():
        findings.add(
            place, f'"{program}" may be any program; write its whole path, such as "/usr/local/bin/{program.name}"'
        )
        return
    try:
        found = program.stat()
    except OSError as error:
        findings.add(place, f"{program} cannot be run: {error.strerror}; write the path of a program")
        return
    if not stat.S_ISREG(found.st_mode) or not os.access(program, os.X_OK):
        findings.add(place, f"{program} cannot be run; run chmod +x {program}, or write the path of a program")
    elif hook.privileged and (found.st_uid or found.st_mode & 0o022):
        message = f"others than root can change it; run chown root {program} and chmod go-w {program}"
        findings.add(place, message)


def _check_user(here: tuple[str | int, ...], hook: Hook, findings: Findings) -> None:
    if hook.privileged:
        if "user" in hook.model_fields_set:
            findings.add((*here, "user"), "a privileged hook runs as root; leave out user, or privileged")
        return
    try:
        found = pwd.getpwnam(hook.user)
    except KeyError:
        findings.add((*here, "user"), f'there is no user "{hook.user}"; make it, or write another one')
        return
    if not found.pw_uid:
        findings.add((*here, "user"), f'"{hook.user}" is root by another name; write privileged = true to mean that')
