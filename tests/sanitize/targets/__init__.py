"""What is fuzzed, in C: each module has one function that takes any octets, and its address as `entry`."""
