"""What a gateway does by itself while its store is away."""
