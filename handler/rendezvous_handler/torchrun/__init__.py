"""What torchrun calls: torch's RendezvousHandler over a Rendezvous. Beside ``operatorless``, only this uses torch."""
