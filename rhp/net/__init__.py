"""The edges to Linux: sockets and the address monitor, one real and one fake each."""
