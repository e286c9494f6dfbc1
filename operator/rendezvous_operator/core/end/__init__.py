"""Why the running round is ended: every rule is a file with the name of its reason, and `rules` has them all."""
