"""What a test proves: the rules that grade it, and the plugin that watches the user's pytest."""
