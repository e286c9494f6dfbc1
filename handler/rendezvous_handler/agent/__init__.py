"""One agent towards the API server: who it is, its own object and heartbeats, and what it watches."""
