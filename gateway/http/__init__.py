"""Framing, header and path rules of HTTP/1.1 (RFC 9110, 9112). No I/O."""
