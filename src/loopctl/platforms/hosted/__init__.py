"""What `local` and `docker` share: clients of the detached host, leases, logs, receipts."""
