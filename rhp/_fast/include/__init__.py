"""Declarations of C libraries, for `cimport` only."""
