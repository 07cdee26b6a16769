"""GitHub, and notices: where others are told of a run; journals nothing, decides nothing."""
