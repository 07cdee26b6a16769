"""The state machine: one pure table, and the runner that walks it."""
