"""The packet path's benchmark: two data planes in one process, with queues filled beforehand and no network."""
