"""Redis and Valkey: keys, connections, checks, and the embedded server."""
