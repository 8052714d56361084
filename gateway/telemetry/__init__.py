"""The guest book: access log, metrics and the process's own log."""
