"""What SpotGuard asks of the world. Promises stand in the docstrings; adapters keep them."""
