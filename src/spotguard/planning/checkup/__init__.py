"""Is this installation well? Facts, rules and report of `spotguard doctor`; pure."""
