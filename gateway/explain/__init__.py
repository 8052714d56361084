"""What `gateway explain` tells: what would be decided of a token or a request, step by step; nothing is counted."""
