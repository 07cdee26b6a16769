"""Each exercises the target in its own body and asserts on what it answered."""
