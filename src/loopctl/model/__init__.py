"""Frozen values that every room speaks of; no I/O."""
