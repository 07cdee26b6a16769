"""A run told on GitHub: an issue for each cause, a comment on the pull request, a commit status."""
