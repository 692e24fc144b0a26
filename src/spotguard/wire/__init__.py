"""The JSON that agents and dashboard speak."""
