"""Personal data are found where people write them, replaced everywhere in a trace, and nothing is stored where that can't be done."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import autolog as al
from autolog import Client, InvalidSetting
from autolog.personal import KINDS, Redactor
from autolog.processing import WITHHELD_NAME
from autolog.settings import Settings, from_environment
from autolog.testing import fresh_client, spans, traces
from tests.test_processing import content_of, record_secrets

KEYS_AND_MAIL = Redactor(("key", "email"))


def cards():
    pytest.importorskip("stdnum")
    return Redactor(["card"])


def phones(region=None):
    pytest.importorskip("phonenumbers")
    return Redactor(["phone"], region)


# --- mail addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("write to ada@example.com.", "write to [email]."),
        ("Ada <ada.l+news@mail.example.co.uk>", "Ada <[email]>"),
        ("'o'brien@example.com'", "'[email]'"),
        ("a@b.co,c@d.org;e@f.net", "[email],[email];[email]"),
        ("https://x.org/?to=ada%40example.com&a=1", "https://x.org/?to=[email]&a=1"),
        ("zoë@exämple.org", "[email]"),
        ("mailto:root@[192.168.0.1]", "mailto:[email]"),
        ("ada@xn--bcher-kva.example", "[email]"),
        ("ADA_9@EXAMPLE.COM", "[email]"),
        ('"Ada L"@example.com', "[email]"),
        ("@app.route decorates; a@b is none; x@1.2.3 is a version", None),
        ("@" * 50, None),
        ("", None),
    ],
)
def test_mail_addresses_are_found(text, redacted):
    assert Redactor("email").text(text) == (text if redacted is None else redacted)


LOCAL_PARTS = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.!$*+~^%'-]{0,63}\Z")
DOMAINS = st.sampled_from(["example.com", "mail.example.co.uk", "xn--bcher-kva.de", "exämple.org"])


@given(st.text(), st.builds("{}@{}".format, LOCAL_PARTS, DOMAINS), st.text())
def test_no_address_survives_whatever_is_around_it(before, address, after):
    redacted = Redactor("email").text(f"{before} {address} {after}")
    assert f" {address} " not in redacted
    assert "[email]" in redacted


# --- cards -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("4111111111111111", "[card]"),
        ("pay with 4111 1111 1111 1111 please", "pay with [card] please"),
        ("4111-1111-1111-1111", "[card]"),
        ("4111\u00a01111\u00a01111\u00a01111", "[card]"),
        ("4111 - 1111 - 1111 - 1111", "[card]"),
        ("amex 3782 822463 10005", "amex [card]"),
        ("378282246310005", "[card]"),
        ("2223003122003222", "[card]"),
        ("order 12 4111 1111 1111 1111", "order 12 [card]"),
        ("4000 4111 1111 1111 1111", "4000 [card]"),
        ("4111 1111 1111 1111 123", "[card] 123"),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "[card]"),
        ("4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1", "[card]"),
        ("no=4111111111111111,cvc=123", "no=[card],cvc=123"),
        ("4111 1111 1111 1112", None),  # its check digit is wrong
        ("0.4111111111111111", None),
        ("41111111111111111111111", None),
        ("1732000000000", None),  # a time
        ("2019 2020 2021 2022 2023 2024", None),
    ],
)
def test_card_numbers_are_found_by_their_check_digit(text, redacted):
    assert cards().text(text) == (text if redacted is None else redacted)


def test_a_card_number_that_is_a_number_is_found():
    leaf = cards().leaf
    assert leaf(4111111111111111, "card") == "[card]"
    assert leaf(4111111111111112, "card") == 4111111111111112
    assert leaf(1, "n") == 1


# --- phone numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "text", "redacted"),
    [
        (None, "call +49 30 901820 today", "call [phone] today"),
        (None, "+1 (212) 555-0100 or +44 20 7946 0958", "[phone] or [phone]"),
        (None, "tel:+4930901820", "tel:[phone]"),
        (None, "030 901820", None),
        (None, "1 + 12345678901 = x", None),
        ("DE", "ruf 030 901820 an", "ruf [phone] an"),
        ("DE", "0049 30 901820", "[phone]"),
        ("DE", "(030) 90 18 20", "[phone]"),
        ("US", "(212) 555-0100", "[phone]"),
        ("DE", "am 24.12.2024 um 18:30, Nr. 12345678", None),
        ("US", "2024-01-15 10:30:00", None),
    ],
)
def test_phone_numbers_are_found(region, text, redacted):
    assert phones(region).text(text) == (text if redacted is None else redacted)


def test_a_text_of_numbers_is_not_looked_at_for_ever_and_nothing_is_missed_for_that():
    numbers = "".join(f"+49 30 90{n:05}, " for n in range(3_000))
    assert phones().text(numbers) == "[phone], " * 3_000


# --- keys ------------------------------------------------------------------------------------------------

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nabc=\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("use sk-proj-abcdefghijklmnop", "use [key]"),
        (f"my key:\n{PEM}\nthat is it", "my key:\n[key]\nthat is it"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE cut off", "[key]"),
        ("AKIAIOSFODNN7EXAMPLE", "[key]"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key = [key]"),
        ('password: "hunter22"', 'password: "[key]"'),
        ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer [key]"),
        ("postgres://ada:hunter22@db/x", "postgres://[key]@db/x"),
        ("github_pat_11ABCDEFG0123456789ab_x", "[key]"),
        ("xoxb-1234567890-abcdef", "[key]"),
        ("sk_live_abcdefghijklmnop", "[key]"),
        ("max_tokens: 100000, the secret of success", None),
    ],
)
def test_keys_are_found(text, redacted):
    assert Redactor("key").text(text) == (text if redacted is None else redacted)


def test_what_its_name_says_is_a_secret_is_replaced_whatever_it_looks_like():
    value = {
        "password": "a",
        "apiKey": "b",
        "client_secret": "c",
        "max_tokens": 7,
        "token": "Hel",
        "key": "name",
        "p": "",
    }
    assert {name: KEYS_AND_MAIL.leaf(item, name) for name, item in value.items()} == {
        "password": "[key]", "apiKey": "[key]", "client_secret": "[key]", "max_tokens": 7, "token": "Hel", "key": "name",
        "p": "",
    }  # fmt: skip


# --- in any value ----------------------------------------------------------------------------------------


def test_json_in_a_text_stays_json_and_is_looked_through():
    cards()
    arguments = json.dumps(
        {"to": "ada@example.com", "card": 4111111111111111, "n": 1.5, "in": json.dumps({"cc": ["bob@example.com"]})}
    ).replace("@", "\\u0040")
    redacted = json.loads(Redactor(("email", "card")).text(arguments))
    assert redacted == {"to": "[email]", "card": "[card]", "n": 1.5, "in": '{"cc": ["[email]"]}'}


@pytest.mark.parametrize("text", ['{"a": 1.0,   "b": [2]}', "[", "{not json}", "[1, 2]", '{"a": NaN}', "[" * 10_000])
def test_a_text_without_anything_to_find_stays_as_it_is(text):
    assert KEYS_AND_MAIL.text(text) == text


def test_a_stream_that_was_cut_off_within_its_json_is_looked_through_as_text():
    assert KEYS_AND_MAIL.text('{"to": "ada@example.com", "te') == '{"to": "[email]", "te'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)


@given(json_values)
def test_nothing_else_is_changed_and_nothing_shared_is_touched(value):
    with fresh_client() as client:
        client.configure(redact="email")
        before = json.dumps(value)
        span = al.start_span("x", inputs=value)
        span.end()
        [stored] = spans(client)
    assert json.dumps(value) == before
    if "@" not in before and "%40" not in before and "\\ud" not in before and len(before) < 10**6:
        assert stored.inputs == pytest.approx(value) if isinstance(value, float) else json.dumps(span.inputs) == before


def test_two_names_that_become_one_mark_keep_both_values(client):
    al.configure(redact=["email"])
    al.start_span("x", inputs={"a@example.com": 1, "b@example.com": 2, "c": {"d@example.com"}}).end()
    assert spans(client)[0].inputs == {"[email]": 1, "[email] 2": 2, "c": ["[email]"]}


def test_what_is_nested_too_deeply_to_be_looked_through_is_left_out(client):
    deep = "ada@example.com"
    for _ in range(300):
        deep = [deep]
    al.configure(redact=["email"])
    al.start_span("x", inputs=deep).end()
    assert "ada@" not in traces(client)[0].to_json()


@given(st.text(alphabet=st.characters(codec="utf-8")))
@example("4111 " * 30)
@example("a" * 1000 + "@" * 1000)
def test_no_text_makes_it_fail(text):
    pytest.importorskip("stdnum")
    pytest.importorskip("phonenumbers")
    assert isinstance(Redactor(KINDS, "DE").text(text), str)


# --- in a whole trace ------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["ada.lovelace@example.com", "sk-proj-abcdefghijklmnop"])
def test_no_place_of_a_trace_is_forgotten(tmp_path, caplog, secret):
    with fresh_client(str(tmp_path / "t.db")) as client:
        client.configure(redact=("email", "key"))
        record_secrets(client, secret)
        running = client.start_trace(f"runs {secret}", inputs=secret, tags={"t": secret})
        client.flush()
        [trace] = [trace for trace in traces(client) if "root" in trace.name]
        client.log_assessment(
            trace.trace_id,
            al.Feedback(name="n", value={"v": secret}, rationale=secret, error=secret, metadata={"m": secret}),
        )
        client.set_trace_tag(trace.trace_id, "set", secret)
        client.set_trace_tag(running.trace_id, "set", secret)
        running.end()
        on_disk = content_of(tmp_path)
        [trace] = [trace for trace in traces(client) if "root" in trace.name]

    mark = "[key]" if secret.startswith("sk-") else "[email]"
    assert trace.name == f"root {mark}"
    assert trace.root.inputs == {"q": [mark, {mark: 1}], "j": f'{{"a": "{mark}"}}'}
    # Keys are taken out of errors before, by another mark.
    assert trace.root.status.description.startswith("ValueError: it was [")
    assert secret.encode() not in on_disk + content_of(tmp_path)
    assert secret not in caplog.text


def test_processors_get_what_was_redacted(client):
    seen = []
    al.configure(redact=["email"], span_processors=[lambda span: seen.append(span.inputs)])
    al.start_span("x", inputs="ada@example.com").end()
    client.flush()
    assert set(seen) == {"[email]"}


def test_a_call_is_redacted_as_it_was_sent_and_answered(client):
    pytest.importorskip("openai")
    from tests.fakes.openai_server import FakeOpenAI, json_answer

    server = FakeOpenAI()
    arguments = '{"to": "bob@example.com"}'
    call = {"id": "c", "type": "function", "function": {"name": "send", "arguments": arguments}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    server.script(
        json_answer({"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [
            {"index": 0, "finish_reason": "tool_calls", "message": message}]})
    )  # fmt: skip
    al.autolog("openai")
    al.configure(redact=["email"])
    answer = server.client().chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "write to bob@example.com"}]
    )
    [trace] = traces(client)

    assert answer.choices[0].message.tool_calls[0].function.arguments == arguments
    assert b"bob@example.com" in server.requests[0].content
    assert trace.root.inputs["messages"][0]["content"] == "write to [email]"
    [shown] = trace.root.outputs["choices"][0]["message"]["tool_calls"]
    assert shown["function"]["arguments"] == '{"to": "[email]"}'
    assert "bob@" not in trace.to_json()


def test_a_streamed_answer_is_redacted_though_the_address_came_in_pieces(client):
    pytest.importorskip("openai")
    from tests.fakes.openai_server import FakeOpenAI, stream_answer

    server = FakeOpenAI()
    pieces = ["write to a", "da@exam", "ple.com"]
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    server.script(
        stream_answer([{**chunk, "choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces])
    )
    al.autolog("openai")
    al.configure(redact=["email"])
    stream = server.client().chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "?"}], stream=True
    )
    assert [piece.choices[0].delta.content for piece in stream] == pieces

    [trace] = traces(client)
    assert "write to [email]" in trace.to_json()
    assert "ada@" not in trace.to_json()


# --- settings --------------------------------------------------------------------------------------------


def test_the_environment_says_what_to_redact(tmp_path):
    program = f"""
import autolog as al
client = al.Client({str(tmp_path / "t.db")!r})
client.start_trace("x", inputs="ada@example.com sk-proj-abcdefghijklmnop").end()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False,
        env={"AUTOLOG_REDACT": "email, key", "PATH": "", "PYTHONPATH": str(Path(al.__file__).parent.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with fresh_client(str(tmp_path / "t.db")) as reader:
        assert spans(reader)[0].inputs == "[email] [key]"


@pytest.mark.parametrize("said", ["email,emial", "phone"])
def test_what_the_environment_asks_for_in_vain_keeps_everything_from_the_store(tmp_path, monkeypatch, caplog, said):
    if said == "phone":
        monkeypatch.setitem(sys.modules, "phonenumbers", None)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("AUTOLOG_REDACT", said)
    monkeypatch.setenv("AUTOLOG_STORE", str(tmp_path / "t.db"))
    client = Client()
    client.start_trace("name", inputs="ada@example.com").end()
    client.close()
    monkeypatch.undo()

    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert ("'emial'" if said != "phone" else "autolog-tracing[redact]") in caplog.text
    with fresh_client(str(tmp_path / "t.db")) as reader:
        [span] = spans(reader)
    assert (span.name, span.inputs) == (WITHHELD_NAME, None)
    assert "AUTOLOG_REDACT" in span.attributes["autolog.withheld"]
    assert b"ada@" not in content_of(tmp_path)


def test_what_can_not_be_redacted_is_refused_in_code(client, monkeypatch):
    al.configure(redact="email")
    with pytest.raises(InvalidSetting, match="there are: key, email, card, phone"):
        al.configure(redact=["emial"])
    pytest.importorskip("phonenumbers")
    with pytest.raises(InvalidSetting, match="redact_region must be the two letters"):
        al.configure(redact=["phone"], redact_region="Germany")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InvalidSetting, match=r"autolog-tracing\[redact\]"):
        al.configure(redact=["card"])
    with pytest.raises(InvalidSetting):
        Client("memory:", Settings(redact=("phone",)))
    al.start_span("x", inputs="ada@example.com").end()
    assert spans(client)[0].inputs == "[email]"


def test_settings_take_one_kind_or_several():
    assert Settings().replace(redact="email").redact == ("email",)
    assert Settings().replace(redact=["email", "card"]).redact == ("email", "card")
    assert from_environment({"AUTOLOG_REDACT": "email , card"}).redact == ("email", "card")
