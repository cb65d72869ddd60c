"""The engine's benchmark: complete handshakes per second and the memory of an established IKE SA."""
