"""When the next round is published: each rule has a file, and `rules` lists them."""
