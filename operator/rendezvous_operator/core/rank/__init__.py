"""The ranks of the members of a new round."""
