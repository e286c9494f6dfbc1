"""The way of one agent into a round: find the Rendezvous, write an attempt, wait for the answer, meet the others."""
