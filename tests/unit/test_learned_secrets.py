"""Tokens are hidden from the moment they are known, in whatever look and over any chunk edge."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from token_server import a_token

from loopctl.redact import Learned, Redactor, Secret

TOKEN = a_token("https://chat-abc-uc.a.run.app", 2e9)
HEAD, CLAIMS, SIGNED = TOKEN.split(".")


def knowing() -> Redactor:
    learned = Learned()
    redactor = Redactor({}, (), learned)
    learned.learn(Secret("id-token", TOKEN))
    return redactor


FORMS = {
    "plain": TOKEN,
    "header": f"Authorization: Bearer {TOKEN}",
    "json": json.dumps({"token": TOKEN}),
    "url": quote(TOKEN, safe=""),
    "hex": TOKEN.encode().hex(),
    "claims": f"claims={CLAIMS};",
    "signature": SIGNED,
    "elided": f"assert '{TOKEN[:110]}...{TOKEN[-110:]}' == None",
    "wrapped": base64.encodebytes(TOKEN.encode()).decode(),
    **{
        f"base64 behind {lead!r}": base64.b64encode((lead + TOKEN + ":tail").encode()).decode()
        for lead in ("", "a", "bb", "Bearer ", "user:")
    },
}


@pytest.mark.parametrize("form", FORMS)
@given(cuts=st.lists(st.integers(1, 3000), max_size=4))
@settings(max_examples=10, deadline=None)
def test_it_is_hidden_in_every_look_and_over_chunk_edges(form: str, cuts: list[int]) -> None:
    data = f"before {FORMS[form]} after\n".encode()
    stream, out, last = knowing().stream(), b"", 0
    for cut in sorted(cuts):
        out += stream.feed(data[last:cut])
        last = max(last, cut)
    out += stream.feed(data[last:]) + stream.flush()
    assert b"[redacted:" in out
    assert out.startswith(b"before ")
    for part in (CLAIMS, SIGNED):
        for at in range(0, len(part) - 16, 16):
            assert part[at : at + 16].encode() not in out
    encoded = FORMS[form].encode()
    if form.startswith(("base64", "wrapped", "hex")):
        assert encoded[200:260].strip() not in out


@pytest.mark.parametrize("lead", ["", "a", "bb", "Bearer ", "x" * 7 + " "])
def test_even_an_unknown_one_is_hidden_in_base64_of_any_alignment(lead: str) -> None:
    text = base64.b64encode((lead + TOKEN).encode()).decode()
    shown = Redactor({}).text(f"Proxy: {text} end")
    assert "[redacted:jwt]" in shown
    assert shown.endswith(" end")
    assert len(shown) < 60


def test_an_unknown_one_whose_end_was_cut_off_is_hidden() -> None:
    assert Redactor({}).text(f"token {HEAD}.{CLAIMS[:40]}") == "token [redacted:jwt]"


def test_one_that_is_learned_later_is_hidden_by_who_searches_already() -> None:
    learned = Learned()
    redactor = Redactor({}, (), learned)
    stream = redactor.stream()
    assert stream.feed(f"{SIGNED}\n".encode()) == f"{SIGNED}\n".encode()
    learned.learn(Secret("id-token", TOKEN))
    learned.learn(Secret("id-token", TOKEN))
    assert stream.feed(f"{SIGNED}\n".encode()) == b"[redacted:id-token]\n"
    assert redactor.json({"of": SIGNED}) == {"of": "[redacted:id-token]"}


def test_what_is_too_long_to_be_hidden_safely_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 4096 bytes"):
        Learned().learn(Secret("id-token", "x" * 4097))
