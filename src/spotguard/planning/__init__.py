"""Pure verbs: what is known and the time now become what to do and why."""
