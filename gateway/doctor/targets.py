"""Whether the targets of services take a connection, with TLS as the gateway would make it."""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import UTC, datetime

from gateway.doctor.dates import validity
from gateway.doctor.finding import Finding, ok, problem
from gateway.model import Config, Target, Upstream
from gateway.proxy.tls import client_context

AT_ONCE = 20
LINGER = 0.3  # seconds for a server to refuse our certificate: with TLS 1.3 it does so after the handshake


async def targets(config: Config) -> list[Finding]:
    """One for each target, however many services share it."""
    distinct = {
        (target, upstream.tls): upstream
        for service in config.services.values()
        for upstream in (service.upstream, *service.upstreams.values())
        for target in upstream.targets
    }
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(target: Target, upstream: Upstream) -> Finding:
        async with turns:
            return await _connect(target, upstream)

    return list(await asyncio.gather(*(one(target, upstream) for (target, _), upstream in distinct.items())))


async def _connect(target: Target, upstream: Upstream) -> Finding:
    about = f"target {target}"
    began = time.monotonic()
    try:
        context = client_context(upstream.tls) if target.tls else None
        name = (upstream.tls.verify_name or target.host) if target.tls else None
        async with asyncio.timeout(upstream.timeouts.connect):
            reader, writer = await asyncio.open_connection(target.host, target.port, ssl=context, server_hostname=name)
    except TimeoutError:
        return problem(
            about, f"no connection within {upstream.timeouts.connect:g} s; see the network and timeouts.connect"
        )
    except ssl.SSLError as error:
        return problem(about, f"TLS fails: {_reason(error)}; see tls of the service {upstream.name}")
    except OSError as error:
        return problem(about, f"no connection: {error.strerror or error}")
    took = (time.monotonic() - began) * 1000
    try:
        if target.tls and (why := await _refusal(reader)):
            return problem(about, f"it {why}; see tls.cert of the service {upstream.name}")
    finally:
        writer.transport.abort()
    return _dated(about, writer, f"answers in {took:.0f} ms")


async def _refusal(reader: asyncio.StreamReader) -> str | None:
    """What a server says after the handshake that does not want our certificate; None where it waits for a request."""
    try:
        async with asyncio.timeout(LINGER):
            return (
                None
                if await reader.read(1)
                else "closes the connection after the handshake, as if it wanted another certificate"
            )
    except TimeoutError:
        return None
    except OSError as error:
        return f"refuses the gateway: {_reason(error)}"


def _dated(about: str, writer: asyncio.StreamWriter, text: str) -> Finding:
    """With what there is to say of its certificate."""
    certificate = writer.get_extra_info("peercert")
    if not certificate:
        return ok(about, text)
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    dated = validity(about, None, end, datetime.now(UTC))
    return dated._replace(text=f"{text}; its certificate {dated.text}")


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (getattr(error, "reason", None) or error.strerror or str(error)).lower().replace("_", " ")
