"""The operator: decides membership, liveness and ranks of every Rendezvous."""
