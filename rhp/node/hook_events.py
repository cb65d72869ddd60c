"""What hooks can be for. Imports nothing, for whoever reads the configuration has to know it, too."""

from __future__ import annotations

EVENTS: dict[str, str] = {
    "node-up": "the node serves",
    "node-down": "the node begins to end; its tunnels still stand",
    "tunnel-up": "the first child of an IKE SA is installed",
    "tunnel-down": "an IKE SA that had a child has ended",
    "path-changed": "the traffic with a peer goes between other outer addresses",
    "addresses-assigned": "a peer gave us inner addresses",
    "address-leased": "a peer got inner addresses from a pool",
    "lease-ended": "they rest until the peer comes back",
}
"""What hooks can be for, and when it is."""
