"""What makes the pages in `docs/` that nobody writes by hand, and the site of all of them."""
