"""The Kubernetes API as an agent uses it: where it is, a dozen requests, and what each can end with."""
