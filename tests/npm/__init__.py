"""npm packages that tests share."""
