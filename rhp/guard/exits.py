"""How the two processes end, as a service manager sees it. A start that failed is not worth repeating; a death is."""

from __future__ import annotations

DONE = 0
NOT_STARTED = 1
"""The configuration, the machine or the user has to change first; a sentence on standard error says what."""

NODE_DIED = 70
"""The node ended by itself or was killed; the guard has taken everything back."""

GUARD_DIED = 71
"""The guard is gone; the node has said farewell to its peers."""
