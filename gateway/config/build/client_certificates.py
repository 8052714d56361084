"""Who issues the certificates of clients."""

from __future__ import annotations

from gateway import model
from gateway.config.blocks.client_certificates import ClientCertificates
from gateway.config.build.context import Context, Where


def client_certificates(name: str, block: ClientCertificates, context: Context) -> model.ClientCertificates:
    where: Where = ("identity", name, "certificate")
    files = context.certificates
    ca = context.checked_file(block.ca, (*where, "ca"), files.check_authority)
    assert ca is not None
    return model.ClientCertificates(
        name=name,
        ca=ca,
        named_by=block.application or model.NamedBy.SAN_URI,
        crl=context.checked_file(block.crl, (*where, "crl"), lambda path: files.check_revocations(ca, path)),
        spiffe=block.spiffe,
    )
