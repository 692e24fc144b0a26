"""What an agent touches on its machine."""
