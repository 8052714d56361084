"""SAML 2.0: the gateway as a strict service provider. Nothing here opens a connection or asks for a URL."""
