"""Help for whoever writes a loop or is about to run one: what a run would do, what is missing."""
