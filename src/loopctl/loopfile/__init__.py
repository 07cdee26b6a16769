"""From a loop file on disk to a `Plan`, with every problem at its place."""
