"""The simulated EC2 on the wire: what unmodified AWS clients and agents speak to. `server.WireServer` is the door.

A thin overlay on moto, which parses requests, writes XML, and answers for everything that the simulator does not own:
load balancers, Elastic IPs, network interfaces, security groups, launch templates, Route 53, IAM, STS.
"""
