"""Making artifacts from source: adapters of the builder and source ports."""
