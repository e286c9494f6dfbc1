"""What the operator sees: the watches by kopf, and the cache of the objects that they show."""
