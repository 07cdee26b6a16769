"""From what was found to a loop file: what is written, what is left to a person, and the text."""
