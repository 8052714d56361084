"""Pages of the gateway's own for those whom the gate has let in."""
