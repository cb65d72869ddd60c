"""The sans-IO IKEv2 engine: bytes and the time go in, effects come out."""
