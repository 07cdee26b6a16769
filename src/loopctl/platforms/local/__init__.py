"""Services as processes of this machine: clients of the detached host, leases, logs, receipts."""
