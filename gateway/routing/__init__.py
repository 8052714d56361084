"""Host and path → service; mapping rules → usage."""
