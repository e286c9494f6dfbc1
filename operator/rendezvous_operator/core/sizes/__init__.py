"""The sizes that a round may have: each rule has a file, and `sizes` lists them."""
