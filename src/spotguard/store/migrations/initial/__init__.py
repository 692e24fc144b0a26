"""The tables of the first revision as they were then; later changes of store/tables*.py never reach them."""
