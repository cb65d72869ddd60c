"""Where things are when nobody says otherwise. Imported by every command, so it imports next to nothing."""

from __future__ import annotations

from pathlib import Path

DEFAULT_CONFIG = Path("/etc/rhp/rhp.toml")
DEFAULT_RUN_DIR = Path("/run/rhp")
DEFAULT_STATE_DIR = Path("/var/lib/rhp")
CONTROL_SOCKET = "control.sock"
"""The control socket's name in the run folder."""
