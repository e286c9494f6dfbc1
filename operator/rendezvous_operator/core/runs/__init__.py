"""Which run has the Rendezvous (rule "runs"): how one is closed, how a free Rendezvous is claimed, who is refused."""
