"""What the team that tests the shop has built around its tests."""
