"""An API gateway: identities checked, plans counted exactly, traffic forwarded over mutual TLS."""

__version__ = "0.1.0"
