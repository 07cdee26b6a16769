"""What a test proves: the rules that grade it, and the plugin that watches it in the user's pytest."""
