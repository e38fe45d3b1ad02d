"""The two forms of a report: whole, escaped, alone."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from fre_hpo.results.report.blocks import (
    Code,
    Facts,
    Figure,
    Listing,
    Mono,
    Picture,
    Report,
    Section,
    Strong,
    grid,
    words,
)
from fre_hpo.results.report.page import page
from fre_hpo.results.report.study import study_report
from fre_hpo.results.report.text import markdown
from reported import a_picture, study_facts

ODD = "<script>alert(\"1\")</script> & `code` *a* | b [x](y) 'q'"
VOID = {"meta", "link", "img", "br"}


class Reader(HTMLParser):
    """The page as a browser understands it: its words, its tags, whether all are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def report(*blocks: Any, title: str = "a study") -> Report:
    section = Section("A part", blocks)
    return Report(
        "report", title, "why", (words("lead"),), (Figure("1", "one"),), (section,), "end"
    )


def everything(text: str) -> Report:
    return report(
        words(text, Mono(text), Strong(text)),
        Listing((words(text),)),
        Facts(((text, words(text)),)),
        grid(text, (text, "n"), [(text, "1")], marked=frozenset({0})),
        Picture("search", "svg", b"<svg/>", text, text),
        Code(text, "sh"),
        title=text,
    )


def test_whatever_stands_in_it_is_words() -> None:
    read = Reader(page(everything(ODD)))
    assert read.all("script") == []
    assert "".join(read.words).count(ODD) == 13
    assert read.all("img")[0]["alt"] == ODD


def test_a_page_needs_nothing_else() -> None:
    text = page(study_report(study_facts(), "Written."))
    read = Reader(text)
    (policy,) = [m for m in read.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy["content"]).startswith("default-src 'none';")
    links = [a[key] or "" for _, a in read.tags for key in ("src", "href") if key in a]
    assert [link for link in links if not link.startswith(("data:", "#"))] == []
    assert "url(" not in text
    assert "@import" not in text
    assert read.all("script") == []


def test_every_entry_of_the_contents_leads_somewhere() -> None:
    read = Reader(page(study_report(study_facts(), "Written.")))
    targets = {str(a["href"])[1:] for a in read.all("a")}
    assert targets == {str(section["id"]) for section in read.all("section")}
    assert len(targets) == len(read.all("h2"))


def test_a_figure_is_inside_byte_by_byte() -> None:
    read = Reader(page(report(a_picture("search"), a_picture("shot", "png"))))
    svg, png = (str(image["src"]) for image in read.all("img"))
    assert svg == f"data:image/svg+xml;base64,{base64.b64encode(b'<svg/>').decode()}"
    assert png.startswith("data:image/png;base64,")


def test_markdown_escapes_what_means_something() -> None:
    text = markdown(everything(ODD.replace("`", "~")))
    assert "<script>" not in re.sub(r"```.*?```|`.*?`", "", text, flags=re.DOTALL)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [3, 3, 3]


def test_markdown_names_the_files_of_its_figures() -> None:
    text = markdown(report(a_picture("search"), a_picture("shot", "png")))
    assert "](figures/search.svg)" in text
    assert "](figures/shot.png)" in text


@pytest.mark.parametrize("code", ["plain", "with ``` inside", "````"])
def test_code_is_fenced_whatever_it_holds(code: str) -> None:
    text = markdown(report(Code(code, "sh")))
    opening = re.search(r"^(`{3,})sh$", text, re.MULTILINE)
    assert opening
    assert text.count(f"\n{opening[1]}\n") == 1
    assert code in text


def test_spaces_between_parts_stay() -> None:
    text = markdown(report(words("see ", Mono("fre-hpo"), " or ", Strong("ask"), ".")))
    assert "see `fre-hpo` or **ask**." in text
