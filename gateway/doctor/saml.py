"""Metadata of identity providers by SAML."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime

from gateway.doctor.dates import validity
from gateway.doctor.finding import Finding, Level, ok, problem
from gateway.model import Saml


def saml_findings(saml: Saml, now: datetime) -> Iterator[Finding]:
    """Of its certificates those that expire soon or have; at a roll-over an old one beside a good one is no harm."""
    from gateway.sso.saml.metadata import MetadataRefused, load_metadata

    about = f"metadata {os.path.relpath(saml.metadata)}"
    try:
        provider = load_metadata(saml.metadata, now.timestamp())
    except MetadataRefused as error:
        yield problem(about, str(error))
        return
    dated = [(each.not_valid_before_utc, each.not_valid_after_utc) for each in provider.certificates]
    found = [validity(f"{about}: certificate", start, end, now) for start, end in dated]
    good = [finding for finding in found if finding.level is Level.OK]
    if good:
        yield ok(about, f"{len(good)} of {len(found)} certificates sign for at least 30 days")
    else:
        yield from found
