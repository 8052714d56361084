"""Everything for development on one machine: provider, certificates, demo services, webhook receiver, `gateway dev`."""
