"""A strict EC2 in memory: one account in one region, on a virtual clock, seeded. `ec2.SimulatedEc2` is the door."""
