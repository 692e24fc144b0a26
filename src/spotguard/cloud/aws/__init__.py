"""EC2 over boto3, the only room where boto3 is spoken. It costs 62 MiB: the first call loads it, no import does.

`cloud.AwsCloud` is the door; `child_cloud.ChildCloud` is the same door in a process of its own, for agents.
"""
