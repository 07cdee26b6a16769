"""loopctl takes a commit to proven green on a real environment, or to a diagnosis with evidence."""

__version__ = "0.1.0"
