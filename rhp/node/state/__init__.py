"""What a node knows again after it died: leases, spent tickets and totals, in one SQLite file in node.state_dir.

The engine and the data plane go on in memory. Each change is put into a queue, and one thread writes what is there in
one transaction, so neither the loop nor a lane waits for a disk. A disk that is full, or a folder that cannot be
written, costs what would have outlived the node and nothing else.
"""
