"""The sizes that a round may have: a rule is a file, and `sizes` has them all."""
