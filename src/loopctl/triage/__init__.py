"""From what a failed cycle left behind to a cause with its evidence, or to an honest "unknown"."""
