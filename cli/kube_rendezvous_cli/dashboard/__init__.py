"""``kubectl rdzv dashboard``: a page on this machine that shows groups as they are now, for one user, read-only."""
