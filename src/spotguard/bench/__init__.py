"""Measurements with a baseline in the same run: `spotguard bench …`."""
