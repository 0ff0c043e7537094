"""What is made from finished runs."""
