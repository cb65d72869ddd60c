"""The packet path in Cython: native threads, ESP, EtherIP and the virtual hub, never holding the GIL."""
