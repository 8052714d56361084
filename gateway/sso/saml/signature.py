"""XML signatures: their shape by a narrow profile (core 5.4), then signxml against the provider's certificates.

Only what signxml returns as signed may be read afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidCertificate, InvalidDigest, InvalidSignature
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from gateway.sso.saml import names
from gateway.sso.saml.names import a, ds
from gateway.sso.saml.refusals import SamlRefused
from gateway.sso.saml.shape import attributes, children, one, perhaps, shown, some, text
from gateway.sso.saml.xml import Element, parser

_INCLUSIVE = f"{{{names.EXCLUSIVE}}}InclusiveNamespaces"
_CONFIGURATION = SignatureConfiguration(
    require_x509=True,
    expect_references=1,
    signature_methods=frozenset(map(SignatureMethod, names.RSA_SIGNATURES | names.EC_SIGNATURES)),
    digest_algorithms=frozenset(map(DigestAlgorithm, names.DIGESTS)),
)


def signature_of(element: Element) -> Element | None:
    """The one that an element carries, in the place that the schema gives it."""
    found = element.findall(ds("Signature"))
    if len(found) > 1:
        raise SamlRefused("signature_misplaced", f"{shown(str(element.tag))} has more than one signature")
    before = found[0].getprevious() if found else None
    if before is not None and before.tag != a("Issuer"):
        raise SamlRefused("signature_misplaced", f"the signature of {shown(str(element.tag))} is not behind its Issuer")
    return found[0] if found else None


def check_places(root: Element, *signed: Element) -> None:
    """No signature stands anywhere but in these elements."""
    for signature in root.iter(ds("Signature")):
        if signature.getparent() not in signed:
            raise SamlRefused("signature_misplaced", "the message has a signature where none belongs")


def verified(root: Element, element: Element, certificates: Sequence[x509.Certificate], now: float) -> Element:
    """`element`, which is `root` or an assertion right in it, as it was signed. `now` in Unix seconds.

    Raises SamlRefused.
    """
    signature = signature_of(element)
    if signature is None:
        raise SamlRefused("signature_missing", f"{shown(str(element.tag))} is not signed")
    method = _check_shape(signature, element)
    location = "./" if element is root else f"./{a('Assertion')}/"
    configuration = replace(_CONFIGURATION, location=location, verification_time=datetime.fromtimestamp(now, UTC))
    signed = _by_any(root, [each for each in certificates if _fits(each, method)], configuration)
    if signed is None or signed.tag != element.tag or signed.get("ID") != element.get("ID"):
        raise SamlRefused("signature_invalid", "the signature is of something else than what carries it")
    return signed


def _by_any(
    root: Element, certificates: Sequence[x509.Certificate], configuration: SignatureConfiguration
) -> Element | None:
    """What was signed, by one of these keys: after a roll-over there are several."""
    refusal = SamlRefused("signature_invalid", "the signature is not by a key of the provider's metadata")
    for certificate in certificates:
        try:
            result = XMLVerifier().verify(
                root, x509_cert=certificate, parser=parser(), expect_config=configuration, validate_schema=False
            )
        except InvalidCertificate:
            name = certificate.subject.rfc4514_string()
            hint = f"{name}: {certificate.not_valid_before_utc} to {certificate.not_valid_after_utc}"
            refusal = SamlRefused("certificate_expired", "the provider's certificate is not valid now", hint=hint)
        except InvalidDigest:
            refusal = SamlRefused("signature_invalid", "the message was changed after it was signed")
        except InvalidSignature:
            continue
        except Exception as error:  # whatever it stumbled over, it did not verify
            refusal = SamlRefused("signature_invalid", "the signature cannot be verified", hint=repr(error))
        else:
            assert isinstance(result, VerifyResult)
            return result.signed_xml
    raise refusal


def _fits(certificate: x509.Certificate, method: str) -> bool:
    """The key is of the kind that the signature's method needs."""
    kind = rsa.RSAPublicKey if method in names.RSA_SIGNATURES else ec.EllipticCurvePublicKey
    return isinstance(certificate.public_key(), kind)


# --- the shape


def _check_shape(signature: Element, element: Element) -> str:
    """One reference, to what carries it; enveloped, exclusive, SHA-2. Returns the method of the signature."""
    try:
        parts = children(signature, one(ds("SignedInfo")), one(ds("SignatureValue")), perhaps(ds("KeyInfo")))
        attributes(signature, permitted=["Id"])
        (info,) = parts[ds("SignedInfo")]
        kinds = children(info, one(ds("CanonicalizationMethod")), one(ds("SignatureMethod")), one(ds("Reference")))
        attributes(info, permitted=["Id"])
        _check_reference(kinds[ds("Reference")][0], element)
        _check_canonical(kinds[ds("CanonicalizationMethod")][0])
        children(kinds[ds("SignatureMethod")][0])
        text(parts[ds("SignatureValue")][0])
    except SamlRefused as error:
        if error.code != "structure_wrong":
            raise
        raise SamlRefused("signature_shape_refused", f"the signature has another shape: {error.detail}") from None
    return _algorithm(kinds[ds("SignatureMethod")][0], names.RSA_SIGNATURES | names.EC_SIGNATURES, "signed")


def _check_reference(reference: Element, element: Element) -> None:
    parts = children(reference, one(ds("Transforms")), one(ds("DigestMethod")), one(ds("DigestValue")))
    attributes(reference, ["URI"], ["Id"])
    if not element.get("ID") or reference.get("URI") != f"#{element.get('ID')}":
        raise SamlRefused("signature_shape_refused", "the signature refers to something else than what carries it")
    text(parts[ds("DigestValue")][0])
    transforms = children(parts[ds("Transforms")][0], some(ds("Transform"), 2, 2))[ds("Transform")]
    if transforms[0].get("Algorithm") != names.ENVELOPED or len(transforms[0]):
        raise SamlRefused("algorithm_refused", "the first transform is not enveloped-signature")
    _check_canonical(transforms[1])
    _algorithm(parts[ds("DigestMethod")][0], names.DIGESTS, "digested")


def _check_canonical(method: Element) -> None:
    """Exclusive canonicalization without comments; it may name prefixes."""
    _algorithm(method, frozenset([names.EXCLUSIVE]), "canonicalized")
    for prefixes in children(method, perhaps(_INCLUSIVE))[_INCLUSIVE]:
        children(prefixes)


def _algorithm(method: Element, known: frozenset[str], done: str) -> str:
    name = str(method.get("Algorithm", ""))
    if name not in known:
        raise SamlRefused("algorithm_refused", f"the message is {done} by an algorithm that is not taken", hint=name)
    return name
