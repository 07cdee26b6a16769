"""Suites that the loop file declares whole: loopctl asks by itself, over HTTP and WebSockets."""
