"""A real Docker engine, a registry and a base image for a machine that has none of them.

`python -m engines up|down`, which is what `make engines` and `make engines-down` call. The standard
library only: nothing is installed yet when it runs.
"""
