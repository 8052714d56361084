"""The development provider on a socket, and certificates in a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from gateway.devkit.certificates import ensure_certificates
from gateway.devkit.provider import Provider, demo_clients
from gateway.devkit.provider_app import provider_app
from gateway.devkit.servers import listener, port_of, serving


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_certificates(tmp_path_factory.mktemp("certificates"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[Provider]:
    """Listening where its issuer says."""
    sock = listener()
    provider = Provider(f"http://127.0.0.1:{port_of(sock)}/realms/demo", demo_clients())
    async with serving(provider_app(provider), sock):
        yield provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(provider: Provider) -> AsyncIterator[httpx2.AsyncClient]:
    """A client whose relative URLs are the realm's."""
    async with httpx2.AsyncClient(base_url=provider.issuer) as client:
        yield client
