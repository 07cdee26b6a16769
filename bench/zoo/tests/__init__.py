"""Folder `honest` or `false` is each test's label; the docstring of a false one says why."""
