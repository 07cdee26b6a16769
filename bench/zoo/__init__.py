"""A zoo of honest and false tests, written before the rules' results on them were looked at."""
