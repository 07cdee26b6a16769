"""Each passes, and would pass with the behaviour it is named for broken."""
