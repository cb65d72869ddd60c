"""What a peer may have once it is known who it is: inner addresses."""
