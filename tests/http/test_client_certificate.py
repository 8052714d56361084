"""What trusted proxies tell of their client's certificate."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.http.client_certificate import LONGEST, client_cert, xfcc

DER = bytes(range(256))
BASE64 = b64encode(DER).decode()
PEM = f"-----BEGIN CERTIFICATE-----\n{BASE64}\n-----END CERTIFICATE-----\n"
CERT = f'Cert="{quote(PEM, safe="")}"'


def test_rfc_9440() -> None:
    assert client_cert([f":{BASE64}:".encode()]) == DER
    assert client_cert([]) is None


@pytest.mark.parametrize("value", ["", BASE64, f":{BASE64}", f":{BASE64}:, :{BASE64}:", "::", ":a:", f":{BASE64}:;a=1"])
def test_what_rfc_9440_does_not_say(value: str) -> None:
    with pytest.raises(BadRequest) as caught:
        client_cert([value.encode()])
    assert caught.value.code == "client_certificate_malformed"


@pytest.mark.parametrize(
    "value",
    [
        CERT,
        f'By=spiffe://prod/gateway;Hash=abc;{CERT};Subject="CN=a, O=\\"b\\"";URI=spiffe://prod/a',
        f"Hash=abc;{CERT};URI=",
    ],
)
def test_envoys_field(value: str) -> None:
    assert xfcc([value.encode()]) == DER
    assert xfcc([]) is None


@pytest.mark.parametrize(
    "value", ["", "Hash=abc", f"{CERT},{CERT}", f"{CERT};{CERT}", "Cert=abc", 'Cert="', f"{CERT} ; a", "Cert=%2D%2D"]
)
def test_what_envoys_field_must_not_be(value: str) -> None:
    """Several elements were written by several, the first by nobody knows whom."""
    with pytest.raises(BadRequest):
        xfcc([value.encode()])


@pytest.mark.parametrize("read", [client_cert, xfcc])
def test_two_fields_or_a_huge_one_are_refused(read) -> None:
    good = f":{BASE64}:".encode() if read is client_cert else CERT.encode()
    assert read([good]) == DER
    for values in ([good, good], [b"a" * (LONGEST + 1)]):
        with pytest.raises(BadRequest):
            read(values)


@given(st.binary(max_size=80) | st.text('Certhas="\\;,%2D-:', max_size=80).map(str.encode))
def test_anything_is_a_certificate_or_refused(value: bytes) -> None:
    for read in (client_cert, xfcc):
        try:
            assert read([value])
        except BadRequest as error:
            assert error.code == "client_certificate_malformed"
