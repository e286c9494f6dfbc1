"""Which rank each member of a new round has."""
