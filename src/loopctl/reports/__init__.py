"""Worklog → files: what a run leaves for people, for CI and for `loopctl runs`."""
