"""What loopctl costs, measured beside what one would do without it."""
