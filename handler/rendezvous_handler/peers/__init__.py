"""The connections between the members of a round: each beats to the agent of rank 0, the host, once a second."""
