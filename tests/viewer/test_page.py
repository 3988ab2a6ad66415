"""A page carries its document, and nothing in a trace can leave its place."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autolog.viewer.page import page

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--",
    "]]>",
    "{policy}",
    "{{x}}",
    "${x}",
    '" onload="alert(1)',
    "<svg onload=alert(1)>",
]


def carried(text, title="t"):
    return page({"text": text}, title=title)


def unpacked(written):
    packed = re.search(r'id="document">([^<]*)</script>', written)[1]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


@settings(deadline=None)
@given(st.text())
def test_a_page_carries_its_document(text):
    assert unpacked(carried(text)) == {"text": text}


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_document_or_a_title_becomes_part_of_the_page(text):
    plain, hostile = carried("x"), carried(text, title=text)

    assert unpacked(hostile) == {"text": text}
    assert re.search("<title>(.*)</title>", hostile)[1] == html.escape(text)
    rest = [re.sub(r'(<title>).*(</title>)|(id="document">)[^<]*', "", written) for written in (plain, hostile)]
    assert rest[0] == rest[1]


def test_the_policy_lets_only_the_pages_own_scripts_and_style_run():
    written = carried("x")
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', written)[1])
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))

    def hashes(tag):
        found = re.findall(rf"<{tag}(?: type=\"module\")?>(.*?)</{tag}>", written, re.DOTALL)
        return {f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in found}

    assert rules["default-src"] == "'none'"
    assert set(rules["script-src"].split()) == hashes("script")
    assert hashes("style") <= set(rules["style-src"].split())
    assert "unsafe" not in policy
    assert "http" not in policy


def test_a_page_names_no_other_place():
    assert re.findall(r"""(?:src|href)=["']?(?!data:)[a-z]+:""", carried("x")) == []
