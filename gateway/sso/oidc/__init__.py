"""OpenID Connect 1.0 as a way to sign in: the authorization code flow (RFC 6749 4.1) by RFC 9700's rules."""
