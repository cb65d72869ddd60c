"""From a TOML file to everything a node needs, or to the list of all its mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rhp.config.errors import Problem
from rhp.node.settings import NodeSettings

if TYPE_CHECKING:
    from rhp.ike.config import EngineConfig


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration without a mistake: plain settings, the engine's connections and what the guard must keep."""

    file: Path
    settings: NodeSettings
    engine: EngineConfig
    warnings: tuple[Problem, ...]
