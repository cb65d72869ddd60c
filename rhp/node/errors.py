"""Why a node does not start, in one sentence."""

from __future__ import annotations


class StartError(Exception):
    """The node cannot start; the message is one sentence for the person at the terminal. Nothing is left behind."""
