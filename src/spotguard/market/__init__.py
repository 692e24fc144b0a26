"""Market files and facts: spot price history, on-demand prices, instance types; into memory and nothing further."""
