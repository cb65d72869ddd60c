"""rhp: Ethernet and IP networks over IKEv2 and ESP, in user space."""
