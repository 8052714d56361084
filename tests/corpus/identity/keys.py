"""API keys, ids and keys of applications: what is sent, what must come of it, and by which rule.

`K` stands for a good key of the application `mobile`, `O` for another's, `X` for one that has ended, `R` for a revoked
one, `P` for one of application `a1`. Code "" is for what lets in, as `mobile`.
"""

from __future__ import annotations

from typing import NamedTuple

WHOLE = "a key is compared as a whole"
ONCE = "another reader might take the other one"
ENCODED = "application/x-www-form-urlencoded"
BASIC = "RFC 7617 2, RFC 4648 3"
BOTH = "3scale: an id, and one of its keys"
ALL = "what is presented must be valid"


class KeyCase(NamedTuple):
    name: str
    fields: tuple[tuple[str, str], ...]
    code: str
    rule: str
    query: str = ""
    line: str = "header"  # which place the service accepts: header, query, username, password, app


def header(name: str, value: str, code: str, rule: str = WHOLE, *more: tuple[str, str]) -> KeyCase:
    return KeyCase(f"a header: {name}", (("x-api-key", value), *more), code, rule)


def query(name: str, text: str, code: str, rule: str = ENCODED) -> KeyCase:
    return KeyCase(f"a query: {name}", (), code, rule, text, "query")


def basic(name: str, value: str, code: str, line: str = "username", rule: str = BASIC) -> KeyCase:
    return KeyCase(f"basic: {name}", (("authorization", value),), code, rule, "", line)


def app(name: str, *fields: tuple[str, str], code: str, rule: str = BOTH) -> KeyCase:
    return KeyCase(f"an id: {name}", fields, code, rule, "", "app")


HEADERS = [
    header("good", "K", ""),
    header("of another application beside nothing", "O", "other"),
    header("empty", "", "api_key_invalid"),
    header("one character", "g", "api_key_invalid"),
    header("the prefix alone", "gwk_", "api_key_invalid"),
    header("its last character is another", "K[:-1]", "api_key_invalid"),
    header("one character more", "K0", "api_key_invalid"),
    header("twice in one", "KK", "api_key_invalid"),
    header("as a list", "K, K", "api_key_invalid"),
    header("as a list of two", "K,O", "api_key_invalid"),
    header("in quotes", '"K"', "api_key_invalid"),
    header("with a scheme", "Bearer K", "api_key_invalid"),
    header("in capitals", "K.upper", "api_key_invalid"),
    header("its digest", "sha256(K)", "api_key_invalid"),
    header("its bare digest", "hex(K)", "api_key_invalid"),
    header("a byte of zero behind", "K\0", "api_key_invalid"),
    header("a byte of zero before", "\0K", "api_key_invalid"),
    header("a blank behind", "K ", "api_key_invalid"),
    header("a tabulator behind", "K\t", "api_key_invalid"),
    header("in base64", "b64(K)", "api_key_invalid"),
    header("percent-encoded", "%67K[1:]", "api_key_invalid"),
    header("bytes that are no text", "\xff\xfe\x80", "api_key_invalid"),
    header("text that is no ASCII", "ключ", "api_key_invalid"),
    header("very long", "g" * 16_000, "api_key_invalid"),
    header("the application's name", "mobile", "api_key_invalid"),
    header("a pattern", "gwk_*", "api_key_invalid"),
    header("an expression of SQL", "' OR '1'='1", "api_key_invalid"),
    header("a template", "{{K}}", "api_key_invalid"),
    header("ended", "X", "api_key_expired", "its block's `expires`"),
    header("revoked", "R", "api_key_revoked", "an operator said so"),
    KeyCase("a header: twice the same", (("x-api-key", "K"), ("x-api-key", "K")), "credentials_ambiguous", ONCE),
    KeyCase("a header: twice, another", (("x-api-key", "K"), ("x-api-key", "O")), "credentials_ambiguous", ONCE),
    KeyCase("a header: twice, first empty", (("x-api-key", ""), ("x-api-key", "K")), "credentials_ambiguous", ONCE),
    KeyCase("a header: not there", (), "credentials_missing", ALL),
    KeyCase("a header: in another one", (("x-api-token", "K"),), "credentials_missing", ALL),
    KeyCase("a header: as a bearer token", (("authorization", "Bearer K"),), "credentials_missing", ALL),
    KeyCase("a header: in the query", (), "credentials_missing", ALL, "x-api-key=K"),
    KeyCase("a header: in a cookie", (("cookie", "x-api-key=K"),), "credentials_missing", ALL),
]
QUERIES = [
    query("good", "key=K", ""),
    query("good, behind others", "a=1&b&=&key=K&c=2", ""),
    query("good, its name encoded", "%6bey=K", ""),
    query("good, its value encoded", "key=%67K[1:]", ""),
    query("empty", "key=", "api_key_invalid"),
    query("without value", "key", "api_key_invalid"),
    query("twice", "key=K&key=K", "credentials_ambiguous", ONCE),
    query("twice, another", "key=K&key=O", "credentials_ambiguous", ONCE),
    query("twice, one name encoded", "key=K&%6Bey=K", "credentials_ambiguous", ONCE),
    query("twice, one empty", "key=&key=K", "credentials_ambiguous", ONCE),
    query("name in capitals", "KEY=K", "credentials_missing"),
    query("name with brackets", "key[]=K", "credentials_missing"),
    query("name with a blank", "key+=K", "credentials_missing"),
    query("name with a byte of zero", "key%00=K", "credentials_missing"),
    query("behind a semicolon", "a=1;key=K", "credentials_missing", "`&` alone parts parameters (WHATWG URL)"),
    query("a semicolon behind", "key=K;a=1", "api_key_invalid", "`&` alone parts parameters (WHATWG URL)"),
    query("a bad escape", "key=%zzK", "credentials_malformed"),
    query("half an escape", "key=K%", "credentials_malformed"),
    query("half an escape, one digit", "key=K%6", "credentials_malformed"),
    query("encoded twice", "key=%2567K[1:]", "api_key_invalid"),
    query("a plus is a blank", "key=K+", "api_key_invalid"),
    query("a byte of zero behind", "key=K%00", "api_key_invalid"),
    query("overlong UTF-8", "key=%c1%a7K[1:]", "api_key_invalid"),
    query("a fragment behind", "key=K%23x", "api_key_invalid"),
]
BASICS = [
    basic("good", "Basic b64(K:)", ""),
    basic("good, any password", "Basic b64(K:x:y)", ""),
    basic("good, the scheme in small letters", "basic b64(K:)", ""),
    basic("good, as password", "Basic b64(anybody:K)", "", "password"),
    basic("good, as password, nobody", "Basic b64(:K)", "", "password"),
    basic("in the other half", "Basic b64(:K)", "api_key_invalid"),
    basic("in the other half, as password", "Basic b64(K:)", "api_key_invalid", "password"),
    basic("without a colon", "Basic b64(K)", "credentials_malformed"),
    basic("nothing", "Basic ", "credentials_malformed"),
    basic("no blank", "Basic", "credentials_malformed"),
    basic("not base64", "Basic !!!!", "credentials_malformed"),
    basic("without padding", "Basic unpadded(K:)", "credentials_malformed"),
    basic("of URLs", "Basic _-_-", "credentials_malformed"),
    basic("bits left over", "Basic Og=a", "credentials_malformed"),
    basic("bits that are not zero", "Basic Oh==", "credentials_malformed"),
    basic("a control character", "Basic b64(K\n:)", "credentials_malformed"),
    basic("a byte of zero", "Basic b64(K\0:)", "credentials_malformed"),
    basic("two", "Basic b64(K:) b64(K:)", "credentials_malformed"),
    basic("a parameter", 'Basic realm="x"', "credentials_malformed"),
    basic("another scheme", "Digest b64(K:)", "credentials_missing"),
    basic("no scheme", "b64(K:)", "credentials_missing"),
    basic("the colon first", ": b64(K:)", "credentials_malformed"),
]
APPS = [
    app("good", ("app-id", "a1"), ("app-key", "P"), code=""),
    app("without key", ("app-id", "a1"), code="credentials_missing"),
    app("an empty key", ("app-id", "a1"), ("app-key", ""), code="credentials_missing"),
    app("a key alone", ("app-key", "P"), code="credentials_missing"),
    app("an empty id", ("app-id", ""), ("app-key", "P"), code="credentials_missing"),
    app("another application's key", ("app-id", "a1"), ("app-key", "O"), code="app_key_invalid"),
    app("an API key of its own", ("app-id", "a1"), ("app-key", "K"), code="app_key_invalid"),
    app("the key's digest", ("app-id", "a1"), ("app-key", "sha256(P)"), code="app_key_invalid"),
    app("the id as key", ("app-id", "a1"), ("app-key", "a1"), code="app_key_invalid"),
    app("the key as id", ("app-id", "P"), ("app-key", "P"), code="app_id_invalid"),
    app("in capitals", ("app-id", "A1"), ("app-key", "P"), code="app_id_invalid"),
    app("a blank behind", ("app-id", "a1 "), ("app-key", "P"), code="app_id_invalid"),
    app("the application's name", ("app-id", "mobile"), ("app-key", "P"), code="app_id_invalid"),
    app("two ids", ("app-id", "a1"), ("app-id", "a1"), ("app-key", "P"), code="credentials_ambiguous", rule=ONCE),
    app("two keys", ("app-id", "a1"), ("app-key", "P"), ("app-key", "P"), code="credentials_ambiguous", rule=ONCE),
]
KEY_CASES = [*HEADERS, *QUERIES, *BASICS, *APPS]
