"""What can go wrong in the lab, each with a sentence fit to be shown to a person."""

from collections.abc import Sequence


class LabError(RuntimeError):
    """The lab could not do what it was asked; the text says what and why."""


class ProgramMissing(LabError):
    """A program the lab drives is not installed; the text names the Debian package to install."""

    def __init__(self, program: str, package: str) -> None:
        super().__init__(f"{program} is not installed: apt-get install {package}")
        self.program = program
        self.package = package


class CommandFailed(LabError):
    """A command ended with a status other than zero, or did not end in time."""

    def __init__(self, args: Sequence[str], status: int | None, output: str) -> None:
        ended = "did not end in time" if status is None else f"ended with status {status}"
        super().__init__(f"`{' '.join(args)}` {ended}: {output.strip() or 'no output'}")
        self.command = tuple(args)
        self.status = status
        self.output = output


class NotReached(LabError):
    """A state that was waited for did not come in time; the text carries the evidence (status, last log lines)."""
