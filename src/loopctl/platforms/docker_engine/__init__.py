"""Services as containers of a Docker engine on this machine, owned by the environment's host."""
