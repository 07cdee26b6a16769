"""A second zoo, for validation: written without sight of the rules or of what they say of it."""
