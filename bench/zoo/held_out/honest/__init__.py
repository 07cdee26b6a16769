"""Each test exercises the shop in its own body and asserts on what it answered."""
