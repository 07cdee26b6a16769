"""What a repository says of itself: one small reader a kind of file. Nothing is executed."""
