"""The detached process that owns an environment's services: front doors, children, log capture."""
