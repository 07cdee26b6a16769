"""JUnit XML, whoever wrote it: read as far as it goes, never trusted."""
