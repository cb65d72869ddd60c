"""The flood's benchmark: what strangers can take from a tunnel at work, from the node's memory, and from who comes."""
