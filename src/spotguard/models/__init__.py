"""Learned models as data: the file, what may be in it, and the hazard that comes of it."""
