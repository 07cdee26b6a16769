"""Services as processes of this machine, owned by the environment's host."""
