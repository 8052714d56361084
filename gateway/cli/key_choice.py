"""Keys as `gateway keys` names and shows them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import typer

from gateway.cli.listener import ask
from gateway.cli.output import Format, print_json, tell
from gateway.cli.usage_changes import operator

if TYPE_CHECKING:
    from gateway.model import ApiKey, Config

SHORTEST = 8  # hexadecimal digits of a digest's beginning
PREFIX = "sha256:"


def written(moment: float) -> str:
    """Unix seconds as the plans write them."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%MZ")


# --- which


def digest_of(config: Config, key: str, application: str | None) -> str:
    """The digest of a key that is meant. One that the plans do not have may be named whole, or be read from stdin;
    so may a client's certificate, by its file."""
    if key == "-":
        return PREFIX + sha256(sys.stdin.buffer.read().strip()).hexdigest()
    if (fingerprint := fingerprint_in(key)) is not None:
        return fingerprint
    if key.startswith(PREFIX) and len(key) == len(PREFIX) + 64:
        return key.lower()
    return held(config, key, application).key.digest


def fingerprint_in(path: str) -> str | None:
    """Of the client's certificate in a file, if it is one of PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    try:
        certificate = x509.load_pem_x509_certificate(Path(path).read_bytes())
    except (OSError, ValueError):
        return None
    return PREFIX + certificate.fingerprint(hashes.SHA256()).hex()


class Held(NamedTuple):
    """Whose a key is, and of which kind: `api_key` or `app_key`."""

    owner: str
    kind: str
    key: ApiKey


def held(config: Config, key: str, application: str | None) -> Held:
    """The one key of the plans that is meant; raises a usage error."""
    if key == "-":
        key = digest_of(config, key, application)
    digits = key.removeprefix(PREFIX).lower()
    found = [
        Held(owner, kind, one)
        for owner, kind, one in _keys(config)
        if application in (None, owner)
        and (one.name == key or (len(digits) >= SHORTEST and one.digest.startswith(PREFIX + digits)))
    ]
    if not found:
        _refuse(f"no key of these plans is called '{key}', or has a digest that begins so; see `gateway keys ls`")
    if len(found) > 1:
        owners = ", ".join(f"{one} of {owner}" for owner, _, one in found)
        _refuse(f"'{key}' may be {owners}; name its digest")
    return found[0]


def _refuse(text: str) -> NoReturn:
    raise typer.BadParameter(text, param_hint="KEY")


def _keys(config: Config) -> Iterator[tuple[str, str, ApiKey]]:
    """Whose, of which kind, and the key."""
    for application in config.applications.values():
        for kind, keys in (("api_key", application.api_keys), ("app_key", application.app_keys)):
            yield from ((application.name, kind, key) for key in keys)


# --- what the gateway is asked


def order(verb: str, folder: Path, admin: str | None, what: str, members: dict[str, Any]) -> dict[str, Any]:
    """What the gateway on this machine has done; where it could not, says why and exits 1."""
    status, answer = ask(verb, folder, admin, "POST", f"/keys/{what}", {**members, "by": operator()})
    if status != 200:
        tell(f"gateway {verb}: {answer.get('detail', answer.get('title', status))}")
        raise typer.Exit(1)
    done: dict[str, Any] = answer
    return done


class Known(NamedTuple):
    """What a gateway knows of keys, by their digests: of what was revoked, and when they were last used."""

    revoked: dict[str, dict[str, Any]]
    used: dict[str, str]


def known(verb: str, folder: Path, admin: str | None) -> Known | None:
    """None where no gateway answers, which is told."""
    try:
        status, answer = ask(verb, folder, admin, "GET", "/keys")
    except typer.Exit:
        return None
    return Known({row["digest"]: row for row in answer["revoked"]}, answer["used"]) if status == 200 else None


def told(text: str, done: Any, output: Format) -> None:
    if output is Format.JSON:
        print_json(done)
    else:
        print(text)


# --- what is shown


def rows_of(config: Config, known: Known | None, now: float) -> list[dict[str, Any]]:
    """Each key of each application. `last_used` None: never, or not `known`."""
    revoked, used = known or Known({}, {})
    return [
        {
            "application": owner,
            "kind": kind,
            "digest": key.digest,
            "name": key.name,
            "state": _state(key, revoked.get(key.digest), now),
            "expires": None if key.expires is None else written(key.expires),
            "last_used": used.get(key.digest),
            "addresses": [str(network) for network in key.addresses],
            "referrers": list(key.referrers),
        }
        for owner, kind, key in _keys(config)
    ]


def _state(key: ApiKey, revoked: dict[str, Any] | None, now: float) -> str:
    if revoked is not None:
        return "revoked" if revoked["acts"] else f"revoked from {revoked['at']} on"
    return "expired" if key.expires is not None and now >= key.expires else "valid"


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A row of the table."""
    only = ", ".join((*row["addresses"], *row["referrers"]))
    digest, used = f"{row['digest'][:19]}…", row["last_used"] or ""
    return row["application"], digest, row["name"] or "", row["state"], row["expires"] or "never", used, only
