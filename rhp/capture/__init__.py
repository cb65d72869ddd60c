"""What `rhp capture` is made of: the file it writes, and the two places where it listens."""
