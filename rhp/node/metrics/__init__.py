"""Metrics for Prometheus: what the running node knows of itself, read when somebody asks.

What flows: `counts` hears the engine's events and adds up what they say; `reading` takes these and what engine, data
plane and the rest know at this moment, and gives samples; `exporter` has the Prometheus client library write them as
text, a family at a time, so that the event loop is never held for long; `server` gives the text to whoever asks.

`families` is the one place where a metric gets its name, its unit and its meaning; `docs/metrics.md` is the page.
Nothing here holds the name of a peer: labels are connections, lanes, pools and fixed words, so there are never more
series than the configuration asks for.
"""
