"""The operator and the API server: requests, the Lease, Events, and what is measured of them."""
