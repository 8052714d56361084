"""What `gateway doctor` looks at: small checks, each of which says whether something is well and what to change."""
