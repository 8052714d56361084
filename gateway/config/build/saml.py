"""Providers by SAML: their metadata and the gateway's own keys are looked at before anybody signs in."""

from __future__ import annotations

import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import model
from gateway.config.blocks.saml import KeyPair, Saml
from gateway.config.build.context import Context, Where
from gateway.config.problems import Complaint

if TYPE_CHECKING:
    from gateway.sso.saml.entities import IdentityProvider


def saml(name: str, block: Saml, context: Context) -> model.Saml:
    where: Where = ("identity", name, "saml")
    pair = _pair(block.cert, block.key, where, context)
    metadata = context.file(block.metadata, (*where, "metadata"))
    _check_metadata(metadata, block, where, context)
    return model.Saml(
        name=name,
        title=block.title or name,
        metadata=metadata,
        entity_id=block.entity_id or f"urn:plangate:{name}",
        pairs=tuple(each for each in (pair, _previous(block.previous, where, context)) if each is not None),
        subject=block.subject,
        roles=block.roles,
        groups=block.groups,
        claims=dict(block.claims),
        client_id=block.client_id,
        name_id_format=block.name_id_format,
        force_authn=block.force_authn,
        unsolicited=block.unsolicited,
    )


def _previous(block: KeyPair | None, where: Where, context: Context) -> model.Certificate | None:
    return None if block is None else _pair(block.cert, block.key, (*where, "previous"), context)


def _pair(cert: str | None, key: str | None, where: Where, context: Context) -> model.Certificate | None:
    """Both are of one RSA key: the provider encrypts for it, too."""
    files = context.certificates
    own = context.checked_file(cert, (*where, "cert"), files.check_rsa)
    private = context.checked_file(key, (*where, "key"), lambda path: own and files.check_key(own, path))
    return None if own is None or private is None else model.Certificate(own, private)


def _check_metadata(path: Path, block: Saml, where: Where, context: Context) -> None:
    if find_spec("signxml") is None or find_spec("lxml") is None:
        text = "needs libraries that are not installed: pip install 'plangate[saml]'"
        context.complain(where, Complaint(text, on_key=True))
        return
    try:
        _refuse_others(block.metadata)
        provider = _metadata(path)
        if provider.wants_signed_requests and block.cert is None:
            raise Complaint("wants requests to be signed; give cert and key", shown=block.metadata)
    except Complaint as complaint:
        context.complain((*where, "metadata"), complaint)


def _refuse_others(text: str) -> None:
    """What people write instead of a path."""
    if text.startswith(("http://", "https://")):
        raise Complaint(
            "is an address, and nothing is fetched here; save what it serves, and name the file", shown=text
        )
    if text.lstrip().startswith("<"):
        raise Complaint("is metadata itself; name its file, by its path alone", shown=text)


def _metadata(path: Path) -> IdentityProvider:
    from gateway.sso.saml.metadata import MetadataRefused, load_metadata

    try:
        return load_metadata(path, time.time())
    except MetadataRefused as error:
        raise Complaint(str(error), shown=os.path.relpath(path)) from None
