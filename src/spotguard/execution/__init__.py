"""Carries a planned step out: intention, call, outcome."""
