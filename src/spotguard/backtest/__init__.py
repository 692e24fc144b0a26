"""SpotBench: replays a market against policies, with `planning` and `engine` exactly as shipped."""
