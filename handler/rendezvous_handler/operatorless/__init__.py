"""torch's own DynamicRendezvousHandler over ConfigMaps: the back end that needs neither operator nor CRDs."""
