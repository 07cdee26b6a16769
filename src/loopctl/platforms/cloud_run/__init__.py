"""The platform on Google Cloud Run: the only rooms that know Google's clients."""
