"""What is said of this machine's files."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from corpus.saml.builder import certificate, pair
from corpus.saml.metadata import SSO, provider_metadata
from corpus.saml.metadata import key as saml_key
from rigs.issuers import Issuer

from gateway.doctor.dates import validity
from gateway.doctor.files import asked_for, certificates, data_folder, keys, revocations, saml_metadata, signing_keys
from gateway.doctor.finding import Level
from gateway.identity.outward.signing_keys import SigningKeys
from gateway.model import (
    Accept,
    Address,
    ApiKey,
    Application,
    Certificate,
    ClientCertificates,
    ClientTls,
    Config,
    IdentityTokens,
    Listener,
    NamedBy,
    Oidc,
    Saml,
    ServerTls,
    Service,
    Store,
    Upstream,
)

NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "level", "text"),
    [
        (-1, 90, Level.OK, "is valid until 2026-09-29"),
        (-1, 30, Level.OK, "is valid until"),
        (-1, 29, Level.WARNING, "expires in 29 days, on 2026-07-30 00:00 UTC: replace it before"),
        (-1, 0, Level.PROBLEM, "expired on 2026-07-01"),
        (1, 90, Level.PROBLEM, "is not valid before 2026-07-02"),
    ],
)
def test_a_certificate_is_judged_by_its_dates(start: int, end: int, level: Level, text: str) -> None:
    found = validity("it", NOW + timedelta(days=start), NOW + timedelta(days=end), NOW)
    assert found.level is level
    assert found.text.startswith(text)


def config(*tls: ClientTls, ca: Path | None = None, data: Path = Path("data"), store: str = "memory") -> Config:
    services = {
        str(number): Service(
            name=str(number), upstream=Upstream(name=str(number), targets=(), tls=one), accept=(), rules=()
        )
        for number, one in enumerate(tls)
    }
    providers = {"sso": Oidc(name="sso", issuer="https://sso.example", audience=("gateway",), ca=ca)}
    return Config(services=services, providers=providers, store=Store(kind=store), data=data)


@pytest.fixture
def files(tmp_path: Path) -> SimpleNamespace:
    """A CA, one good certificate, and two that do not last."""
    ca, now = trustme.CA(), datetime.now(UTC)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, end in {"good": now + timedelta(days=99), "late": now + timedelta(days=9), "over": now}.items():
        issued = ca.issue_cert(name, not_after=end, not_before=now - timedelta(days=1))
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
    names = ("ca", "good", "late", "over")
    return SimpleNamespace(**{name: tmp_path / f"{name}.pem" for name in names})


def test_good_certificates_take_one_line(files: SimpleNamespace) -> None:
    (found,) = certificates(config(ClientTls(ca=files.ca, cert=files.good), ClientTls(ca=files.ca), ca=files.ca))
    assert found == (Level.OK, "certificates", "2 of 2 files are valid for at least 30 days")


def test_each_bad_certificate_has_a_line(files: SimpleNamespace) -> None:
    late, over, good = certificates(config(ClientTls(cert=files.late), ClientTls(cert=files.over), ca=files.ca))
    assert (late.level, over.level) == (Level.WARNING, Level.PROBLEM)
    assert late.about.endswith("late.pem")
    assert good.text.startswith("1 of 3 files")


def test_of_several_authorities_an_expired_one_does_not_matter(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(authority(days=-1) + authority(days=90))
    (found,) = certificates(config(ca=bundle))
    assert found.level is Level.OK
    bundle.write_bytes(authority(days=-1))
    (found,) = certificates(config(ca=bundle))
    assert found.level is Level.PROBLEM


def authority(days: int) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"CA {days}")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=9)).not_valid_after(now + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def test_a_certificate_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (found,) = certificates(config(ca=tmp_path / "nothing.pem"))
    assert found.level is Level.PROBLEM


def test_the_data_folder_is_looked_at_where_it_is_needed(tmp_path: Path) -> None:
    assert list(data_folder(config(data=tmp_path, store="url"))) == []
    (there,) = data_folder(config(data=tmp_path, store="embedded"))
    assert there == (Level.OK, "data", f"{tmp_path} can be written")
    (new,) = data_folder(config(data=tmp_path / "a" / "b", store="embedded"))
    assert new.text == f"{tmp_path}/a/b can be made"
    assert not (tmp_path / "a").exists()


def test_a_data_folder_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    (found,) = data_folder(config(data=tmp_path / "data", store="embedded"))
    assert (found.level, found.text) == (Level.PROBLEM, f"{tmp_path}/data is not a folder; change `data`")


def test_a_data_folder_that_may_not_be_written_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs the tests: root may write everywhere."""
    monkeypatch.setattr("os.access", lambda path, mode: False)
    (found,) = data_folder(config(data=tmp_path, store="embedded"))
    assert found.level is Level.PROBLEM


def test_revocation_lists_are_judged_by_their_dates(tmp_path: Path) -> None:
    ca = Issuer(now=datetime.now(UTC).timestamp())
    crl = tmp_path / "ca.crl"
    devices = ClientCertificates(name="devices", ca=tmp_path / "ca.pem", named_by=NamedBy.SUBJECT, crl=crl)
    held = Config(certificates={"devices": devices})
    told = []
    for content in (ca.revoked(), ca.revoked() + ca.revoked(days=-1), b""):
        crl.write_bytes(content)
        (found,) = revocations(held)
        told.append((found.level, found.text.partition(" 2")[0]))
    assert told == [
        (Level.OK, "holds until"),
        (Level.PROBLEM, "is out of date since"),
        (Level.PROBLEM, "cannot be read: it is neither PEM nor DER of one"),
    ]


def test_metadata_of_saml_is_judged_by_its_certificates(tmp_path: Path) -> None:
    """One that signs is enough: at a roll-over there is an old one beside it."""
    now = datetime.now(UTC).timestamp()
    good, old = (saml_key(certificate(pair("idp").key, "idp", days, now)) for days in (90, -1))
    provider = Saml(name="partner", title="Partner", metadata=tmp_path / "idp.xml", entity_id="urn:x")
    told = []
    for content in (good + SSO, good + old + SSO, old + SSO, ""):
        provider.metadata.write_bytes(provider_metadata(content))
        (found,) = saml_metadata(Config(saml={"partner": provider}))
        told.append((found.level, found.text.partition(" on 2")[0]))
    assert told == [
        (Level.OK, "1 of 1 certificates sign for at least 30 days"),
        (Level.OK, "1 of 2 certificates sign for at least 30 days"),
        (Level.PROBLEM, "expired"),
        (Level.PROBLEM, "has no SingleSignOnService of the HTTP-Redirect binding"),
    ]


def test_keys_that_end_are_told(tmp_path: Path) -> None:
    now = datetime.now(UTC).timestamp()
    ends = {"gone": now - 1, "soon": now + 86_400, "late": now + 90 * 86_400, "never": None}
    digests = [ApiKey(f"sha256:{place:064}", name, end) for place, (name, end) in enumerate(ends.items())]
    application = Application(name="mobile", plans=(), api_keys=tuple(digests[:2]), app_keys=tuple(digests[2:]))
    told = list(keys(Config(applications={"mobile": application})))
    assert [(finding.about, finding.text.split()[0]) for finding in told] == [
        ("key gone of mobile", "ended"),
        ("key soon of mobile", "ends"),
    ]


def test_signing_keys_are_for_the_gateways_user_alone(tmp_path: Path) -> None:
    config = Config(data=tmp_path, identity_tokens=IdentityTokens(issuer="https://g", path="/.k", rotate=86_400))
    assert not list(signing_keys(config))
    SigningKeys(tmp_path / "signing", 86_400, time.time).current()
    assert [finding.level for finding in signing_keys(config)] == [Level.OK]
    next((tmp_path / "signing").glob("*.pem")).chmod(0o644)
    (found,) = signing_keys(config)
    assert found.level is Level.PROBLEM
    assert "sign tokens as the gateway" in found.text


def test_who_takes_certificates_must_ask_for_them(files: SimpleNamespace) -> None:
    upstream = Upstream(name="x", targets=())
    service = Service(name="x", upstream=upstream, accept=(Accept(certificate="devices"),), rules=())
    (found,) = asked_for(Config(services={"x": service}))
    assert (found.level, found.about) == (Level.WARNING, "client certificates")
    assert not list(asked_for(Config(services={"x": service}, client_certificate="xfcc")))
    tls = ServerTls(certificates=(Certificate(files.good, files.good),), client_ca=files.ca)
    listener = Listener(address=Address("127.0.0.1", 0), tls=tls)
    assert not list(asked_for(Config(services={"x": service}, listen=(listener,))))
    assert [finding.text for finding in certificates(Config(listen=(listener,)))] == [
        "2 of 2 files are valid for at least 30 days"
    ]
