"""The diagnosis corpus: failures as people have them in hand, and what each should come to."""
