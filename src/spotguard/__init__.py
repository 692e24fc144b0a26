"""SpotGuard keeps single EC2 workloads on spot capacity."""

__version__ = "0.1.0"
