"""What redact promises: no secret in any output, and nothing else touched."""

import base64
import copy
import dataclasses
import html
import itertools
import json
import pickle
import shlex
import time
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loopctl.redact import Redactor, Secret, keyed_hash

VALUE = "s3cr3t/Val+ue=\"x'<&>\\ü"
PRIVATE_KEY = "\n".join(
    [
        "-----BEGIN PRIVATE KEY-----",
        *("MIIEvQ" + c * 58 for c in "abc"),
        "Qw==",
        "-----END PRIVATE KEY-----",
    ]
)


def base64_after(prefix: bytes) -> Callable[[str], str]:
    def encode(value: str) -> str:
        return base64.b64encode(prefix + value.encode() + b"tail").decode()

    return encode


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "base64": lambda v: base64.b64encode(v.encode()).decode(),
    "base64 url": lambda v: base64.urlsafe_b64encode(v.encode()).decode().rstrip("="),
    "base64 quoted": lambda v: urllib.parse.quote(base64.b64encode(v.encode()).decode(), safe=""),
    "base64 shifted 1": base64_after(b"a"),
    "base64 shifted 2": base64_after(b"ab"),
    "base64 shifted 3": base64_after(b"abc"),
    "base64 in lines": lambda v: base64.encodebytes(v.encode()).decode(),
    "url": lambda v: urllib.parse.quote(v, safe=""),
    "url safe slash": urllib.parse.quote,
    "url plus": urllib.parse.quote_plus,
    "url lower": lambda v: (
        urllib.parse.quote(v, safe="").replace("%2F", "%2f").replace("%3D", "%3d")
    ),
    "url twice": lambda v: urllib.parse.quote(urllib.parse.quote(v, safe=""), safe=""),
    "json": lambda v: json.dumps(v)[1:-1],
    "json utf-8": lambda v: json.dumps(v, ensure_ascii=False)[1:-1],
    "json go": lambda v: json.dumps(v)[1:-1].replace("<", "\\u003C").replace("&", "\\u0026"),
    "json in json": lambda v: json.dumps(json.dumps(v)[1:-1])[1:-1],
    "html": html.escape,
    "html keeping quotes": lambda v: html.escape(v, quote=False),
    "html decimal": lambda v: v.replace("&", "&amp;").replace("'", "&#39;").replace('"', "&#34;"),
    "repr": lambda v: repr(v)[1:-1],
    "ascii": lambda v: ascii(v)[1:-1],
    "repr of bytes": lambda v: repr(v.encode())[2:-1],
    "shell": lambda v: shlex.quote(f" {v}")[2:-1],
    "hex": lambda v: v.encode().hex(),
    "HEX": lambda v: v.encode().hex().upper(),
}

printable = st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"))
secrets = st.text(printable, min_size=8, max_size=24).filter(
    lambda v: v.lower() not in "production"
)


def in_chunks(redactor: Redactor, data: bytes, cuts: list[int]) -> bytes:
    stream = redactor.stream()
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    parts = [stream.feed(data[a:b]) for a, b in itertools.pairwise(edges)]
    return b"".join(parts) + stream.flush()


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_value_is_found_in_every_encoding(name: str) -> None:
    shown = ENCODINGS[name](VALUE)
    redacted = Redactor({"TOKEN": VALUE}).text(f"before {shown} after")
    assert "[redacted:TOKEN]" in redacted
    assert shown not in redacted
    assert redacted.startswith("before ")
    assert redacted.endswith(" after")


# A machine that has other things to do takes longer for one of them now and then.
@settings(deadline=None)
@given(secrets, st.sampled_from(sorted(ENCODINGS)), st.lists(st.integers(0, 10_000), max_size=6))
@example("\\\\\\\\\\\\\\\\", "json", [3])
@example("%25%25%25", "url twice", [])
@example("''''''''", "shell", [])
@example("--------", "plain", [3])
def test_no_secret_leaves_in_any_encoding_over_any_chunk_edges(
    value: str, encoding: str, cuts: list[int]
) -> None:
    shown = ENCODINGS[encoding](value)
    text = f"at=1 {shown}\nnext [{shown}]"
    redactor = Redactor({"T": value})
    redacted = redactor.text(text)
    assert shown not in redacted.replace("[redacted:T]", "\0")
    assert value not in redacted.replace("[redacted:T]", "\0")
    assert in_chunks(redactor, text.encode(), cuts) == redacted.encode()


@given(st.text(st.sampled_from("ab1\n=- \u00fc"), max_size=300), st.lists(st.integers(0, 999)))
def test_text_without_secrets_is_unchanged(text: str, cuts: list[int]) -> None:
    redactor = Redactor({"A": "no-such-value", "B": "two\nlines"}, ["absent[0-9]+"])
    assert redactor.text(text) == text
    assert in_chunks(redactor, text.encode(), cuts) == text.encode()


@given(st.binary(max_size=200), st.lists(st.integers(0, 999)))
def test_bytes_that_are_no_text_pass_through(data: bytes, cuts: list[int]) -> None:
    assert in_chunks(Redactor({"A": "no-such-value"}), data, cuts) == data


@given(
    st.lists(st.sampled_from(["aaaaaaaa", "aaaab", "baaaaaaa", "one\ntwo", "\n", "one\n", "x"])),
    st.lists(st.integers(0, 999)),
)
def test_overlapping_values_come_out_the_same_however_they_are_cut(
    pieces: list[str], cuts: list[int]
) -> None:
    redactor = Redactor({"A": "aaaaaaaa", "B": "aaaabaaa", "C": "one\ntwo"})
    text = "".join(pieces)
    redacted = redactor.text(text)
    assert in_chunks(redactor, text.encode(), cuts) == redacted.encode()
    assert not any(value in redacted for value in ("aaaaaaaa", "aaaabaaa", "one\ntwo"))


def test_the_longer_of_two_nested_values_wins() -> None:
    redactor = Redactor({"SHORT": "password1", "LONG": "password1-and-more"})
    assert redactor.text("password1-and-more password1") == "[redacted:LONG] [redacted:SHORT]"


def test_a_label_is_not_redacted_again() -> None:
    assert Redactor({"redacted": "redacted", "B": "xyzxyzxyz"}).text("xyzxyzxyz") == "[redacted:B]"


@pytest.mark.parametrize("value", ["", " \n", "x", "1", "443", "true", "Dev", "null", "test"])
def test_trivial_values_are_named_and_not_replaced(value: str) -> None:
    redactor = Redactor({"TRIVIAL": value, "REAL": "hunter2-hunter2"})
    assert redactor.unprotected == ("TRIVIAL",)
    assert redactor.text(f"x={value} true dev 1 443") == f"x={value} true dev 1 443"


def test_short_values_are_replaced_as_whole_words_only() -> None:
    redactor = Redactor({"PIN": "4711", "PASS": "a&b"})
    assert redactor.unprotected == ()
    assert redactor.text("pin=4711, 47110 a4711 x_4711") == "pin=[redacted:PIN], 47110 a4711 x_4711"
    assert redactor.text("a&b xa&b a%26b") == "[redacted:PASS] xa&b [redacted:PASS]"
    assert redactor.text(base64.b64encode(b"4711").decode()) == "[redacted:PIN]"


def test_each_long_line_of_a_value_is_hidden_alone() -> None:
    redactor = Redactor({"CONFIG": "user=somebody\nab\npassword=hunter22\n"})
    assert redactor.text("log: password=hunter22!") == "log: [redacted:CONFIG]!"
    assert redactor.text("ab") == "ab"
    assert redactor.text("user=somebody\r\nab\r\npassword=hunter22") == "[redacted:CONFIG]"


def test_json_is_redacted_in_values_and_keys_and_keeps_its_shape() -> None:
    redactor = Redactor({"T": "hunter22", "U": "hunter33"})
    value = {"hunter22": ["x hunter33", 1, None, True], "n": {"a": ("hunter22", 2.5)}}
    assert redactor.json(value) == {
        "[redacted:T]": ["x [redacted:U]", 1, None, True],
        "n": {"a": ("[redacted:T]", 2.5)},
    }
    assert redactor.json({"a": Secret("S", "v")}) == {"a": "[redacted:S]"}


def test_keys_that_become_equal_are_both_kept() -> None:
    redacted = Redactor({"T": "hunter22"}).json({"hunter22": 1, "aHVudGVyMjI=": 2})
    assert redacted == {"[redacted:T]": 1, "[redacted:T]#2": 2}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abc.def-123 x", "Authorization: Bearer [redacted:authorization] x"),
        (
            '{"authorization": "Basic dXNlcg=="}',
            '{"authorization": "Basic [redacted:authorization]"}',
        ),
        ("got bearer 0123456789abcdef!", "got bearer [redacted:bearer-token]!"),
        ("t=eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0 ok", "t=[redacted:jwt] ok"),
        ("\\neyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0 ok", "\\n[redacted:jwt] ok"),
        ("subprotocol: jwt.ZXlKaGJHY2lPaUpJVXpJ...", "subprotocol: jwt.[redacted:jwt]..."),
        ("key=AIza" + "a" * 35, "key=[redacted:google-api-key]"),
        ("ya29.a0AfH6SMBx-y_z1 ok", "[redacted:google-access-token] ok"),
        ("ghp_" + "a1" * 18, "[redacted:github-token]"),
        ("github_pat_" + "a1" * 18, "[redacted:github-token]"),
        ("xoxb-123456789-abc ok", "[redacted:slack-token] ok"),
        ("postgres://me:p@ss@db:5432/x", "postgres://me:[redacted:url-password]@db:5432/x"),
        ("redis://:pw@cache", "redis://:[redacted:url-password]@cache"),
    ],
)
def test_what_looks_like_a_credential_is_hidden_and_the_rest_stays(
    text: str, expected: str
) -> None:
    redacted = Redactor({}).text(f"one {text}\ntwo")
    assert redacted == f"one {expected}\ntwo"


@pytest.mark.parametrize(
    "text",
    [
        "eyJ is how JSON begins, eyJhbGciOiJIUzI1NiJ9 alone is no token",
        "http://localhost:8080/a@b and ws://host:1/x",
        "Authorization: missing; bearer authentication is required",
        "lightghost xoxo AIza ghp_short ZXlK",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    ],
)
def test_prose_and_addresses_are_no_credentials(text: str) -> None:
    assert Redactor({}).text(text) == text


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\\n", "\n2025-09-01T10:00:00Z chat | "])
def test_a_private_key_is_hidden_over_lines_and_chunks(line_end: str) -> None:
    text = f"key: {PRIVATE_KEY}".replace("\n", line_end) + " after"
    assert Redactor({}).text(text) == "key: [redacted:private-key] after"
    assert in_chunks(Redactor({}), text.encode(), list(range(0, 400, 7))) == (
        b"key: [redacted:private-key] after"
    )


def test_a_private_key_without_an_end_does_not_take_the_log_along() -> None:
    begun = PRIVATE_KEY.rsplit("\n", 2)[0]
    text = Redactor({}).text(f"{begun}\nserver started on port 8080\n" * 2)
    assert text == "[redacted:private-key]\nserver started on port 8080\n" * 2


def test_patterns_of_the_user_see_one_line_at_a_time() -> None:
    redactor = Redactor({}, [r"^id-[0-9]+$", r"pin=(?P<secret>\d+)", "ü."])
    assert redactor.text("id-1\nx id-2\npin=12 müßig") == (
        "[redacted:pattern]\nx id-2\npin=[redacted:pattern] m[redacted:pattern]ig"
    )


def test_a_pattern_that_does_not_compile_is_named() -> None:
    with pytest.raises(ValueError, match=r"\(\["):
        Redactor({}, ["(["])


def test_a_finished_line_leaves_at_once_and_an_open_one_on_flush() -> None:
    stream = Redactor({"T": "hunter22"}).stream()
    assert stream.feed(b"up\nhunt") == b"up\n"
    assert stream.feed(b"er22\n> ") == b"[redacted:T]\n"
    assert stream.flush() == b"> "


@pytest.mark.parametrize("chunk", [997, 65_536, 3_000_000])
def test_a_secret_on_an_endless_line_is_found(chunk: int) -> None:
    value = "hunter22-" + "z" * 30
    data = (b"x" * 64_990 + value.encode()) * 20
    cuts = list(range(chunk, len(data), chunk))
    redacted = in_chunks(Redactor({"T": value}), data, cuts)
    assert redacted == (b"x" * 64_990 + b"[redacted:T]") * 20


@pytest.mark.parametrize("chunk", [997, 65_536, 1_000_000])
def test_an_endless_line_is_not_kept_in_memory(chunk: int) -> None:
    stream = Redactor({"T": "hunter22"}, ["absent.*"]).stream()
    fed = given_out = 0
    for _ in range(2_000_000 // chunk):
        fed += chunk
        given_out += len(stream.feed(b"x" * chunk))
        assert fed - given_out <= 64 * 1024


@pytest.mark.parametrize(
    "hostile",
    [
        b"eyJ",
        b"eyJaaaaaaaaa.",
        b"ZXlK",
        b"-----BEGIN PRIVATE KEY-----",
        b"-----BEGIN PRIVATE KEY-----\nab\n",
        b"://a:",
        b"://a:@",
        b"Bearer ",
        b"Authorization: Bearer ",
        b"\\\\",
        b"%25",
        b"&amp;",
        b"AIza",
        b"hunter2",
    ],
)
def test_no_text_makes_the_work_grow_with_its_square(hostile: bytes) -> None:
    # A quadratic pass over 1 MB takes minutes; the bound leaves room for a busy machine.
    redactor = Redactor({"A": "hunter22", "B": "\\\\\\\\\\\\%%%%%%&&&&&&"})
    begin = time.process_time()
    redactor.binary(hostile * (1_000_000 // len(hostile)))
    assert time.process_time() - begin < 3


def test_a_secret_shows_its_name_only() -> None:
    secret = Secret("TOKEN", "hunter22")
    assert f"{secret} {secret!r} {secret:>14} %s" % secret == (
        "Secret(TOKEN) Secret(TOKEN)  Secret(TOKEN) Secret(TOKEN)"
    )
    assert secret.reveal() == "hunter22"


def test_a_secret_is_not_stored_by_accident() -> None:
    @dataclasses.dataclass(frozen=True)
    class Holder:
        secret: Secret

    secret = Secret("TOKEN", "hunter22")
    with pytest.raises(TypeError):
        json.dumps({"a": secret})
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(secret)
    assert dataclasses.asdict(Holder(secret)) == {"secret": secret}
    assert copy.deepcopy(secret) is copy.copy(secret) is secret


def test_secrets_are_equal_by_value_and_never_to_a_string() -> None:
    assert Secret("A", "ü\udc80") == Secret("B", "ü\udc80")
    assert len({Secret("A", "x"), Secret("B", "x")}) == 1
    assert Secret("A", "x") != Secret("A", "y")
    assert Secret("A", "x") != "x"


def test_a_value_from_an_environment_that_is_not_utf8_is_found() -> None:
    value = "hunter\udcff22"
    assert Redactor({"T": value}).binary(b"x hunter\xff22 y") == b"x [redacted:T] y"
    assert Redactor({"T": value}).text(f"x {value} y") == "x [redacted:T] y"


def test_a_hash_depends_on_key_and_text() -> None:
    one = keyed_hash(b"k1", "a=1")
    assert len(one) == 64
    assert one == keyed_hash(b"k1", "a=1")
    assert len({one, keyed_hash(b"k2", "a=1"), keyed_hash(b"k1", "a=2")}) == 3


@pytest.mark.parametrize(
    "text",
    [
        "assert 'x' == 'kQ7\"z/p+W &x...4=Vt2?Rg8#Ej6'",
        'AssertionError: the key is kQ7"z/p+...',
        "the rest is ...Rg8#Ej6 there",
        "'Bearer kQ7...Ej6'",
    ],
)
def test_what_pytest_leaves_of_a_long_value_is_hidden(text: str) -> None:
    clean = Redactor({"KEY": 'kQ7"z/p+W &x%9\\Lm4=Vt2?Rg8#Ej6'}).text(text)
    assert "[redacted:KEY]" in clean
    assert "kQ7" not in clean
    assert "Ej6" not in clean


def test_three_dots_alone_hide_nothing() -> None:
    text = "loading ... done...; a-de..."
    assert Redactor({"KEY": "a-dev-secret-of-some-length"}).text(text) == text
