"""Whatever becomes of a valid response on its way: it is refused, or it says what it said; and that soon."""

from __future__ import annotations

import gc
import time
from copy import deepcopy

import pytest
from corpus.saml.builder import Answer, Sealing, taken
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.sso.saml.bindings import from_form, from_query
from gateway.sso.saml.metadata import MetadataRefused, read_metadata
from gateway.sso.saml.refusals import SamlRefused

GOOD = {
    "assertion": Answer().xml(),
    "response": Answer(sign="R").xml(),
    "both": Answer(sign="RA").xml(),
    "encrypted": Answer(sealing=Sealing()).xml(),
}
MOST = 0.5  # seconds of this thread; a message takes a few milliseconds
SPICE = [
    b"<",
    b">",
    b"&",
    b'"',
    b"<!--",
    b"-->",
    b"<x/>",
    b"&#10;",
    b"xmlns='urn:x'",
    b" ID='_assertion'",
    b"\xff",
    b"",
]


def outcome(xml: bytes) -> object:
    """Who signed in, or None; nothing else is raised, and it does not take long."""
    gc.disable()  # a collection of all that the tests hold is not the document's work
    began = time.thread_time()
    try:
        return taken(xml)
    except SamlRefused:
        return None
    finally:
        took = time.thread_time() - began
        gc.enable()
        assert took < MOST


@pytest.mark.parametrize("kind", GOOD)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_changed_octets(kind: str, data: st.DataObject) -> None:
    xml = bytearray(GOOD[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(xml)))
        length = data.draw(st.sampled_from([0, 1, 2, 8, 64, 512]))
        new = data.draw(
            st.one_of(st.binary(max_size=4), st.sampled_from(SPICE), st.just(bytes(xml[start : start + 300])))
        )
        xml[start : start + length] = new
    assert outcome(bytes(xml)) in (None, taken(GOOD[kind]))


@pytest.mark.parametrize("kind", GOOD)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_changed_trees(kind: str, data: st.DataObject) -> None:
    root = etree.fromstring(GOOD[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        change(data, root)
    assert outcome(etree.tostring(root)) in (None, taken(GOOD[kind]))


def change(data: st.DataObject, root: etree._Element) -> None:
    """One element is taken away, doubled, moved, emptied, renamed, or has an attribute or text of another."""
    nodes = [*root.iter()]
    node, other = data.draw(st.sampled_from(nodes)), data.draw(st.sampled_from(nodes))
    above = node.getparent()
    match data.draw(st.sampled_from(["remove", "double", "move", "empty", "rename", "attribute", "text"])):
        case "remove" if above is not None:
            above.remove(node)
        case "double" if above is not None:
            above.append(deepcopy(node))
        case "move" if node not in (other, *other.iterancestors()):
            other.insert(data.draw(st.integers(0, len(other))), node)
        case "empty":
            node.clear()
        case "rename":
            node.tag = other.tag
        case "attribute":
            for name, value in other.attrib.items():
                node.set(name, value)
        case "text":
            node.text = other.text


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_octets(octets: bytes) -> None:
    assert outcome(octets) is None
    for read in (from_form, from_query):
        with pytest.raises(SamlRefused):
            read(b"SAMLResponse=%s" % octets, "SAMLRequest")
    with pytest.raises(MetadataRefused):
        read_metadata(octets, 0)
