"""The client API: one file per noun."""
