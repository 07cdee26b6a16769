"""Where services run: local processes, a Docker engine, Cloud Run."""
