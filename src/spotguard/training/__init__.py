"""Fits the engine's coefficients and models from data; never imported by what runs in production."""
