"""The daemon: joins the engine, the data plane and the edges."""
