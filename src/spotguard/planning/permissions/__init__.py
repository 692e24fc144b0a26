"""IAM policies as data: one table of statements for each role, each with its reason; `roles` is the table."""
