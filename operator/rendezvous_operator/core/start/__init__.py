"""When the next round is published: every rule is a file, and `rules` has them all."""
