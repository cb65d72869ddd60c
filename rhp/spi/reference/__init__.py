"""A data plane in plain Python: slow, complete enough to serve, written from the RFCs; it shares no code with `_fast`.

It is what the fast one is compared with, and an example of an ESP provider (docs/providers.md). `suites` and `replay`
are the algorithms, `esp` one direction of an SA, `hub`, `proxy` and `selectors` the Ethernet side, `links` the
descriptors, and `plane` joins them: one thread, one lock, one packet after the other.
"""
