"""What a few seeds can say about claims and criteria."""
