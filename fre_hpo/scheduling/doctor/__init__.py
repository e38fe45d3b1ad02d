"""What may be wrong with this machine and with the nodes of a cluster: each check looks, then judges."""
