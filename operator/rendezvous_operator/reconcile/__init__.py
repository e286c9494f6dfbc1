"""From what is seen to what is written: one reconcile of one Rendezvous at a time."""
