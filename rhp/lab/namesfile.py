"""A resolv.conf of its own for a namespace: ip-netns(8) lays /etc/netns/NAME/resolv.conf over the machine's."""

import shutil
from pathlib import Path

from rhp.lab.namespace import Namespace

FOLDER = Path("/etc/netns")


class NamesFile:
    """The file; programs that are started in the namespace from now on see it as /etc/resolv.conf."""

    def __init__(self, namespace: Namespace, content: str = "nameserver 192.0.2.53\n") -> None:
        self._folder = FOLDER / namespace.name
        self._folder.mkdir(parents=True, exist_ok=True)
        self.path = self._folder / "resolv.conf"
        self.path.write_text(content)

    def text(self) -> str:
        """What stands in it now."""
        return self.path.read_text()

    def stop(self) -> None:
        """Take it away. Safe to call twice."""
        shutil.rmtree(self._folder, ignore_errors=True)
