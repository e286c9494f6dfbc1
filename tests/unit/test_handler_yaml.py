"""The reader of kubeconfigs: what it reads is what PyYAML reads, and all else is refused."""

import random
import string
from typing import Any

import pytest
import yaml
from tests.support.kubeconfigs import KUBECONFIGS

from rendezvous_handler.kube.yaml_subset import YamlError, read_yaml


class OnlyTexts(yaml.SafeLoader):
    """PyYAML, with texts in the place of numbers and times, and true and false only by these names."""


OnlyTexts.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in ("tag:yaml.org,2002:null", "tag:yaml.org,2002:bool")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    if first not in tuple("yYoO")
}


def by_pyyaml(text: str) -> Any:
    return yaml.load(text, OnlyTexts)


@pytest.mark.parametrize("name", KUBECONFIGS)
def test_what_tools_write(name: str) -> None:
    text = KUBECONFIGS[name]
    found = read_yaml(text)
    assert found == by_pyyaml(text)
    assert found["clusters"]
    assert read_yaml(text.replace("\n", "\r\n")) == found
    assert read_yaml("\ufeff" + text) == found


GOOD = [
    "a: b",
    "a:\n  b: c\n  d:\n    e: f\ng: h",
    "a:\n- b\n- c\nd: e",
    "a:\n  - b\n  - c\nd: e",
    "a:\n- b: 1\n  c: 2\n-   d: 3\n    e: 4\n",
    "- - a\n  - b\n- c",
    "-\n  a: b\n-\n  - c",
    'a: []\nb: {}\nc: ["x", "y"]\nd: {"e": [true, null]} # text',
    "a: # comment\n  b: c # comment\n# comment\n\n  d: e#f\n  # comment\n",
    "a: null\nb: ~\nc:\nd: true\ne: False\nf: 'true'\ng: \"null\"\nh: nullable",
    "a: 'it''s'\nb: \"a\\tb\\n\\\"c\\\" \\\\ \\u00e9 \\x41 \\/\"\n'c d': e\n\"f\": g",
    "a: |\n  one\n   two\n\n  three\n\nb: |-\n  x\nc: |+\n  y\n\nd: e",
    "a: |\n  last\n",
    "a: |\n  last",
    "a: |+\n  last\n\n",
    "a: |-\n\n  first is empty\n\n",
    "a: one\n  two\n\n  three # comment\nb: c",
    "a: one\n  # comment\nb: c",
    "a: 'one\n\n\n  two\n  three '\nb: c",
    "a: '\n\n    one\n\n    '\n",
    'a: "one \\\n  two\n  three\\\n  \\\n  \\ four"\nb: c',
    "a:\n- \"x\"\n- 'y: z'\n- https://host:6443/path\n- --flag=a:b\n- -x\n",
    "a: https://host:6443",
    "a: b:c",
    "a: -x\nb: ?x\nc: :x\n",
    "-x: a\n",
    "a b c: d e f",
    "key with spaces  :   value with spaces   ",
    "# only a comment",
    "",
    "text",
    "a: 010\nb: 1e3\nc: 2024-01-01\nd: 12:30:45\ne: 0x1f\nf: 1_000\ng: .5",
    "é: ü",
    "a:\n\n\n  b: c\n\n",
    "a:   \n  b: c",
    "---\na: b",
    "--- # comment\na: b",
    "a: 'x' # comment\nb: \"y\"   # comment",
    'a: x\'y"z\nb: "it\'s"\nc: \'say "x"\'',
]


@pytest.mark.parametrize("text", GOOD)
def test_what_is_read_is_what_pyyaml_reads(text: str) -> None:
    assert read_yaml(text) == by_pyyaml(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: &x b\nc: *x", "line 1: this kind of YAML is not read here"),
        ("a: *x", "this kind"),
        ("a: !!binary x", "this kind"),
        ("a: >\n  b", "this kind"),
        ("a: |2\n  b", "this kind"),
        ("a: @b", "this kind"),
        ("a: `b", "this kind"),
        ("a: %b", "this kind"),
        ("a: - b", "this kind"),
        ("? a\n: b", "this kind"),
        ("<<: a", "a merge"),
        ("a: {b: c}", "line 1: flow style is only read here if it is JSON"),
        ("a: [b, c]", "flow style"),
        ("a: [\n  \"b\"]", "flow style"),
        ("a: b\n---\nc: d", "line 2: more than one document"),
        ("%YAML 1.2\n---\na: b", "more than one document"),
        ("a: b\n...", "more than one document"),
        ("a:\n\tb: c", "line 2: a tab"),
        ("a:\n \tb: c", "a tab"),
        ("a: b\n  c: d", "a colon or a tab in a text"),
        ("a: b: c", "a colon or a tab in a text"),
        ("a:\n  b: c\n    d: e", "a colon or a tab"),
        ("a:\n  b:\n    c: d\n   e: f", "indented too far|does not belong"),
        ("a:\n    b: c\n  d: e", "does not belong|indented"),
        ("a: 'b", "a quote is not closed"),
        ("a: \"b\nc: d\"", "a quote is not closed"),
        ("a: 'b' c", "something behind a value"),
        ("a: 'b'c", "something behind a value"),
        ("a: \"\\q\"", "unknown escape"),
        ("a: b\na: c", "this key is there already"),
        ("a\nb: c", "a colon or a tab in a text"),
        ("a: b\n- c", "a key and a colon|does not belong"),
        ("- a\nb: c", "does not belong"),
        ("a: b\nc", "a key and a colon"),
        ("a:\n- b\n  c: d", "a colon or a tab"),
        ("a: [", "flow style"),
        ("a: b\n\nc: \xa0d", r"line 3: the character '\\xa0' is not read"),
        ("a\x85b: c", "the character"),
        ("a: |\n  b\u2028c", "the character"),
        ("a: b\rc: d", "the character"),
        ("a: \ufeffb", "the character"),
        ("a: \x00b", "the character"),
    ],
)  # fmt: skip
def test_all_else_is_refused(text: str, why: str) -> None:
    with pytest.raises(YamlError, match=why):
        read_yaml(text)


def some_value(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(6)
    if depth and kind == 0:
        return {some_text(rng, True): some_value(rng, depth - 1) for _ in range(rng.randrange(4))}
    if depth and kind == 1:
        return [some_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return rng.choice([None, True, False, some_text(rng), some_text(rng), some_text(rng)])


def some_text(rng: random.Random, short: bool = False) -> str:
    letters = string.ascii_letters * 2 + string.digits + " -:/._@"
    if not short:
        letters += "#'\"\\{}[],&*!|>%`?=~\t\n\n é☃"
    return "".join(rng.choices(letters, k=rng.randrange(1, 12 if short else 120)))


@pytest.mark.parametrize("seed", range(300))
def test_what_pyyaml_writes_is_read_or_refused(seed: int) -> None:
    """Never read as something else."""
    rng = random.Random(seed)
    value = {f"k{number}": some_value(rng, 4) for number in range(3)}
    text = yaml.safe_dump(value, allow_unicode=rng.random() < 0.5, width=rng.choice([40, 80, 1000]))
    try:
        found = read_yaml(text)
    except YamlError:
        assert any(sign in text for sign in ("? ", "|", ">", "!!")), text
    else:
        assert found == value


@pytest.mark.parametrize("seed", range(300))
def test_a_damaged_file_is_read_as_pyyaml_does_or_refused(seed: int) -> None:
    rng = random.Random(seed)
    text = KUBECONFIGS[rng.choice(list(KUBECONFIGS))]
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice([" ", "\n", ":", "-", "'", '"', "#", "a", "\t", ": ", "{", ""]) + text[at + 1 :]
    try:
        found = read_yaml(text)
    except YamlError:
        return
    try:
        expected = by_pyyaml(text)
    except yaml.scanner.ScannerError:
        assert "\t" in text  # behind a colon YAML allows one, other than PyYAML
    else:
        assert found == expected
