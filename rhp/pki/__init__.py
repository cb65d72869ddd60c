"""Certificates: identities, path validation, and the small CA behind `rhp keygen`."""
