"""loopctl takes a commit to proven green on a real environment, or to an evidence-backed diagnosis."""
