"""What tests and images prove: pure rules, names for content, the plugin in the user's pytest."""
