"""Figures 5 and 6, by their pixels and by the data inside their files."""

from __future__ import annotations

import base64
import io
import json
import re
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fre_hpo.data.showing.overlay import colours, nearest
from fre_hpo.results.agreement import image_iou, mean
from fre_hpo.results.figures import ENDINGS
from fre_hpo.results.figures.kinds import render
from fre_hpo.results.figures.predictions import predictions_figure
from ledgers import CLASSES
from traced import make_shown

MARK = "a figure of the tests"
METHODS = ("baseline", "supervision", "fre")
DC = "{http://purl.org/dc/elements/1.1/}"


def test_rows_are_images_and_columns_input_truth_and_methods() -> None:
    sheet = predictions_figure(make_shown(*METHODS), CLASSES)
    assert [head[0] for head in sheet.heads] == ["input", "truth", *METHODS]
    assert [row.name for row in sheet.rows] == ["cells0.tif", "cells1.tif"]
    assert all(len(row.cells) == 5 for row in sheet.rows)


def test_each_pixel_has_the_colour_of_its_predicted_class() -> None:
    shown = make_shown(*METHODS)
    sheet = predictions_figure(shown, CLASSES)
    palette = colours(CLASSES)
    for column, one in enumerate(shown, 2):
        for row, sample in zip(sheet.rows, one.samples, strict=True):
            pixels = row.cells[column].pixels
            labels = nearest(sample.prediction, pixels.shape[:2])
            for index, colour in enumerate(palette):
                painted = (pixels == colour).all(axis=-1) if colour else None
                if painted is not None:
                    assert (painted == (labels == index)).all()


def test_the_truth_is_painted_and_the_input_is_not() -> None:
    (one,) = make_shown("baseline")
    row = predictions_figure([one], CLASSES).rows[0]
    membrane = colours(CLASSES)[1]
    truth = nearest(one.samples[0].truth, row.cells[1].pixels.shape[:2])
    assert ((row.cells[1].pixels == membrane).all(axis=-1) == (truth == 1)).all()
    assert not (row.cells[0].pixels == membrane).all(axis=-1).any()


def test_the_data_are_the_values_of_study_and_image() -> None:
    shown = make_shown(*METHODS)
    known = predictions_figure(shown, CLASSES).data["rows"]
    assert [entry["study"] for entry in known] == [one.study for one in shown]
    for entry, one in zip(known, shown, strict=True):
        assert entry["validation mIoU"] == one.record.value
        assert entry["params"] == one.record.params
        for image, sample in zip(entry["images"], one.samples, strict=True):
            iou = image_iou(sample.truth, sample.prediction, len(CLASSES))
            assert image == {
                "image": sample.name,
                "mIoU": mean(iou),
                "IoU": dict(zip(CLASSES, iou, strict=True)),
            }


def test_two_studies_of_one_method_are_told_apart() -> None:
    first, other = make_shown("fre", "fre")
    renamed = type(other)(**{**vars(other), "study": "mouse-fre-linear"})
    heads = predictions_figure([first, renamed], CLASSES).heads
    assert [head[0] for head in heads[2:]] == ["mouse-fre", "mouse-fre-linear"]


def test_the_key_names_every_class_and_what_is_not_labelled() -> None:
    plain = predictions_figure(make_shown("fre"), CLASSES).key
    hatched = predictions_figure(make_shown("fre", ignored=4), CLASSES).key
    assert [swatch.words for swatch in plain] == list(CLASSES)
    assert [swatch.words for swatch in hatched] == [*CLASSES, "not labelled (hatched)"]


def data_of(content: bytes, ending: str) -> Any:
    if ending == "png":
        return json.loads(Image.open(io.BytesIO(content)).info["Description"])
    if ending == "svg":
        found = next(iter(ET.fromstring(content).iter(f"{DC}description")))
        return json.loads("".join(found.itertext()))
    if ending == "pdf":
        text = re.search(rb"/Subject \((.*?)(?<!\\)\)", content, re.DOTALL)
        assert text
        return json.loads(text[1].replace(b"\\", b""))
    shown = re.search(rb'<script type="application/json" id="shown">(.*?)</script>', content)
    assert shown
    return json.loads(shown[1])


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_file_carries_its_data_and_is_the_same_again(ending: str) -> None:
    sheet = predictions_figure(make_shown("baseline", "fre"), CLASSES)
    content = render(sheet, ending, MARK)
    assert MARK.encode() in content
    assert data_of(content, ending) == sheet.data
    assert render(sheet, ending, MARK) == content


@pytest.mark.parametrize(("height", "width"), [(16, 32), (32, 12)])
def test_a_picture_keeps_its_shape(height: int, width: int) -> None:
    sheet = predictions_figure(make_shown("baseline", shape=(height, width)), CLASSES)
    assert all(row.ratio == height / width for row in sheet.rows)
    svg = render(sheet, "svg", MARK).decode()
    sizes = re.findall(r'<image [^>]*width="([0-9.]+)" height="([0-9.]+)"', svg)
    assert len(sizes) == 6
    for across, upright in sizes:
        assert float(upright) / float(across) == pytest.approx(height / width, rel=0.02)


@pytest.mark.parametrize("count", [1, 2, 6])
def test_it_is_as_wide_as_a_page_at_most(count: int) -> None:
    shown = make_shown(*(["fre"] * count))
    content = render(predictions_figure(shown, CLASSES), "png", MARK)
    assert Image.open(io.BytesIO(content)).width / 300 * 25.4 <= 183.2


def test_a_picture_in_the_page_is_the_cell_pixel_by_pixel() -> None:
    sheet = predictions_figure(make_shown("baseline"), CLASSES)
    page = render(sheet, "html", MARK).decode()
    uris = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    cells = [cell for row in sheet.rows for cell in row.cells]
    for uri, cell in zip(uris, cells, strict=True):
        with Image.open(io.BytesIO(base64.b64decode(uri))) as image:
            assert np.array_equal(np.asarray(image), cell.pixels)


def test_names_with_a_meaning_in_html_are_words() -> None:
    (one,) = make_shown("fre")
    odd = type(one)(**{**vars(one), "study": "<b>&amp;", "method": "<i>x"})
    page = render(predictions_figure([odd], ("a<b", "c&d", "</script>")), "html", MARK).decode()
    assert "<b>&lt;i&gt;x</b>" in page
    assert "a&lt;b" in page
    assert page.count("</script>") == 1
    assert not re.search(r'(src|href)="(?!data:)', page)
