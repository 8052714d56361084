"""Why a SAML message is refused: one exception and its codes, which are stable.

| code | the message … |
| --- | --- |
| `message_missing`, `message_repeated` | lacks the form field or parameter, or has it twice |
| `message_too_large` | is larger than is taken, packed or unpacked |
| `base64_invalid`, `deflate_invalid` | cannot be unpacked |
| `encoding_refused` | is not UTF-8, or declares another encoding |
| `doctype_refused`, `comment_refused`, `cdata_refused`, `instruction_refused` | has what no SAML message needs |
| `xml_malformed` | is not well-formed XML |
| `xml_too_complex` | is nested too deeply, or has too many elements or namespaces |
| `id_repeated`, `id_invalid` | has two elements of one ID, or an ID that is no name |
| `structure_wrong` | has an element, attribute or text where the schema, or this profile, has none |
| `version_wrong` | is not of SAML 2.0 |
| `issuer_wrong` | comes from another provider |
| `destination_wrong` | was meant for another address |
| `status_refused` | says that the provider refused |
| `assertion_missing`, `assertion_repeated` | has no assertion, or more than one |
| `signature_missing` | is not signed where it must be |
| `signature_misplaced`, `signature_shape_refused` | has a signature elsewhere, or of another shape |
| `algorithm_refused` | is signed or encrypted by an algorithm that is not taken |
| `signature_invalid` | is not signed by a key of the provider's metadata |
| `certificate_expired` | is signed by a key whose certificate has expired |
| `decryption_failed`, `decryption_no_key` | cannot be decrypted |
| `encrypted_id_refused` | hides the name of the user, or an attribute, by itself |
| `subject_missing`, `name_id_refused` | names nobody, or in a way that is not taken |
| `confirmation_invalid`, `recipient_wrong` | is not confirmed for the bearer, here |
| `response_unsolicited`, `request_unknown` | answers no request, or another |
| `audience_missing`, `audience_wrong` | is for nobody, or others |
| `condition_unknown` | holds under a condition that is not understood |
| `not_yet_valid`, `expired`, `lifetime_too_long`, `time_malformed` | is not of this time |
| `authentication_missing` | does not say that the user signed in |
| `session_expired` | tells of a session that is over |
| `replayed` | was used before |
| `relay_state_wrong` | brings a RelayState that is too long |
"""

from __future__ import annotations


class SamlRefused(Exception):
    """A message that must be refused. `detail` is a sentence for people; `hint` is for the operator's log only."""

    def __init__(self, code: str, detail: str, *, hint: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint
