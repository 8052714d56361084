"""Towards services: identity → what vouches for it there, in place of the client's own credentials."""
