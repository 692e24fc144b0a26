"""A lab: the shipped processes on a simulated EC2 over HTTP, a workload and its client beside them."""
