"""An API gateway: identities checked, plans counted exactly, traffic forwarded over mutual TLS."""

from functools import cache
from importlib.util import find_spec

__version__ = "0.1.0"


@cache
def build() -> str:
    """How requests are served: `compiled`, or `pure Python`."""
    spec = find_spec("gateway.proxy.client")
    assert spec is not None and spec.origin is not None
    return "pure Python" if spec.origin.endswith(".py") else "compiled"
