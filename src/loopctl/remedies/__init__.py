"""Remedies: a command run safely, what it is given, and what it has changed."""
