"""Which run holds the Rendezvous (rule "runs"): how it claims it, how it is closed, and which nodes are refused."""
