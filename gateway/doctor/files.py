"""Files and folders of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from gateway.crls import revocation_lists
from gateway.doctor.dates import SOON, validity
from gateway.doctor.finding import Finding, Level, ok, problem, warning
from gateway.doctor.saml import saml_findings
from gateway.model import ClientCertificates, ClientTls, Config, DownMode, Oidc, Store

FileCheck = Callable[[Config], Iterable[Finding]]


def data_folder(config: Config) -> Iterator[Finding]:
    """Where something is kept in it: whether this user may write there."""
    if (
        config.identity_tokens is None
        and config.store.kind != "embedded"
        and all(plan.down.mode is not DownMode.LOCAL for plan in config.plans.values())
    ):
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
    for listener in config.listen:
        if listener.tls is not None:
            yield from (certificate.cert for certificate in listener.tls.certificates)
            if listener.tls.client_ca is not None:
                yield listener.tls.client_ca
    for provider in config.saml.values():
        yield from (pair.cert for pair in provider.pairs)
    holders: tuple[ClientTls | ClientCertificates | Oidc | Store, ...] = (
        *(
            upstream.tls
            for service in config.services.values()
            for upstream in (service.upstream, *service.upstreams.values())
        ),
        *config.providers.values(),
        *config.certificates.values(),
        config.store,
    )
    for holder in holders:
        for path in (holder.ca, getattr(holder, "cert", None)):
            if path is not None:
                yield path


def revocations(config: Config) -> Iterator[Finding]:
    """Lists that are out of date, or soon will be, refuse whoever comes with a certificate."""
    now = datetime.now(UTC)
    for issuer in config.certificates.values():
        if issuer.crl is None:
            continue
        about = f"revocation list {os.path.relpath(issuer.crl)}"
        try:
            ends = [found.next_update_utc for found in revocation_lists(issuer.crl.read_bytes())]
        except (OSError, ValueError) as error:
            yield problem(about, f"cannot be read: {error}")
            continue
        end = min(end for end in ends if end is not None)
        if end < now:
            yield problem(about, f"is out of date since {end:%Y-%m-%d %H:%M} UTC: certificates are refused (503)")
        else:
            yield ok(about, f"holds until {end:%Y-%m-%d %H:%M} UTC; have the next one there before")


def saml_metadata(config: Config) -> Iterator[Finding]:
    """The certificates of providers by SAML: one that has expired signs nobody in."""
    for provider in config.saml.values():
        yield from saml_findings(provider, datetime.now(UTC))


def keys(config: Config) -> Iterator[Finding]:
    """Those that end soon, or have: their owners may not know."""
    now = datetime.now(UTC)
    for application in config.applications.values():
        for key in (*application.api_keys, *application.app_keys):
            ends = None if key.expires is None else datetime.fromtimestamp(key.expires, UTC)
            if ends is not None and ends - now < SOON:
                when = f"ended on {ends:%Y-%m-%d}; take it out" if ends <= now else f"ends on {ends:%Y-%m-%d %H:%M} UTC"
                cure = "" if ends <= now else "; `gateway keys roll` makes another in its place"
                yield warning(f"key {key.shown} of {application.name}", when + cure)


def signing_keys(config: Config) -> Iterator[Finding]:
    """Those of the gateway's own tokens are for its user's eyes alone."""
    folder = config.data / "signing"
    if config.identity_tokens is None or not folder.is_dir():
        return
    open_ = [path.name for path in (folder, *folder.glob("*.pem")) if path.stat().st_mode & 0o077]
    if open_:
        text = f"others may read {', '.join(open_)}, and sign tokens as the gateway; chmod go= and delete the keys"
        yield problem("signing keys", text)
    else:
        yield ok("signing keys", f"{len(list(folder.glob('*.pem')))}, for this user alone")


def asked_for(config: Config) -> Iterator[Finding]:
    """Services that take certificates need a listener that asks for them."""
    names = [name for name, service in config.services.items() if any(line.certificate for line in service.accept)]
    asks = any(listener.tls is not None and listener.tls.client_ca is not None for listener in config.listen)
    if names and not asks and config.client_certificate is None:
        text = f"{', '.join(names)} accept certificates, and no listener asks for one; give one `tls.client_ca`"
        yield warning("client certificates", text)


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


FILE_CHECKS: tuple[FileCheck, ...] = (
    data_folder,
    keys,
    signing_keys,
    certificates,
    revocations,
    saml_metadata,
    asked_for,
)
