"""What a change of the plans does, and to whom."""
