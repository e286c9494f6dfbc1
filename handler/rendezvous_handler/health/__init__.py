"""The health checks of this node: run in a process of their own, with a deadline. Needs the standard library alone."""
