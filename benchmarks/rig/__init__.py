"""The gateway beside its peers, at the same job on the same core."""
