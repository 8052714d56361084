"""What is held within bounds at once (permits), or in speed (tokens of a bucket), over all processes."""
