"""Files and folders of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from gateway.doctor.dates import validity
from gateway.doctor.finding import Finding, Level, ok, problem
from gateway.model import ClientTls, Config, DownMode, Oidc, Store

FileCheck = Callable[[Config], Iterable[Finding]]


def data_folder(config: Config) -> Iterator[Finding]:
    """Where something is kept in it: whether this user may write there."""
    if config.store.kind != "embedded" and all(plan.down.mode is not DownMode.LOCAL for plan in config.plans.values()):
        return
    place = config.data.absolute()
    existing = next(folder for folder in (place, *place.parents) if folder.exists())
    if not existing.is_dir():
        yield problem("data", f"{existing} is not a folder; change `data`")
    elif not os.access(existing, os.W_OK | os.X_OK):
        yield problem("data", f"{existing} cannot be written by this user; give it to the gateway's, or change `data`")
    else:
        yield ok("data", f"{place} can be written" if existing == place else f"{place} can be made")


def certificates(config: Config) -> Iterator[Finding]:
    """Of all certificates that the plans name: those that expire soon or have, else one line for all."""
    now = datetime.now(UTC)
    found = [_certificate(path, now) for path in dict.fromkeys(_certificate_files(config))]
    yield from (finding for finding in found if finding.level is not Level.OK)
    good = sum(finding.level is Level.OK for finding in found)
    if good:
        yield ok("certificates", f"{good} of {len(found)} files are valid for at least 30 days")


def _certificate_files(config: Config) -> Iterator[Path]:
    holders: tuple[ClientTls | Oidc | Store, ...] = (
        *(
            upstream.tls
            for service in config.services.values()
            for upstream in (service.upstream, *service.upstreams.values())
        ),
        *config.providers.values(),
        config.store,
    )
    for holder in holders:
        for path in (holder.ca, getattr(holder, "cert", None)):
            if path is not None:
                yield path


def _certificate(path: Path, now: datetime) -> Finding:
    """The certificate that a chain begins with; of several authorities the first that expires, if not all have."""
    about = f"certificate {os.path.relpath(path)}"
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        return problem(about, f"cannot be read: {error}")
    if _is_authority(chain[0]):
        good = [authority for authority in chain if authority.not_valid_after_utc > now] or chain
        chain = sorted(good, key=lambda authority: authority.not_valid_after_utc)
    return validity(about, chain[0].not_valid_before_utc, chain[0].not_valid_after_utc, now)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


FILE_CHECKS: tuple[FileCheck, ...] = (data_folder, certificates)
