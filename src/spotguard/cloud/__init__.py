"""The clouds that keep the promises of the Cloud port."""
