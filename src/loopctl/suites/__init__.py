"""What runs tests: one adapter of `loopctl.ports.suite.Suite` for each kind of suite."""
