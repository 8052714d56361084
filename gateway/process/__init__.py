"""What the supervisor does with processes: sockets, workers, reading the files again, and the service manager."""
