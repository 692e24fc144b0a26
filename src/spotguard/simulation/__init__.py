"""The whole system under one seed and a virtual clock: shipped code, simulated world."""
