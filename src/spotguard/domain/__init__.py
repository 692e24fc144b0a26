"""The nouns and their lives."""
