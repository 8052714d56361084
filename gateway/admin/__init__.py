"""The admin listener: probes and metrics."""
