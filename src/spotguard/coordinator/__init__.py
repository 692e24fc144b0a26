"""The standing duties: look, plan, do, report."""
