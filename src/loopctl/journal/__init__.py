"""The append-only truth of a run, and what is folded from it."""
