"""One table of latency figures: what is sent, summed up, measured and shown is named by it."""

from __future__ import annotations

from dataclasses import fields

import pytest

from bench.report.names import title
from captions.metrics import Metrics
from captions.server.pages import Pages
from captions.stream.captions import Latency
from captions.stream.figures import FIGURES, PARTS
from captions.stream.latency import WordLatency


def test_the_figures_are_the_fields_of_a_segments_latency() -> None:
    assert tuple(figure.name for figure in FIGURES) == Latency.__struct_fields__


def test_the_parts_are_those_that_are_added_up() -> None:
    assert tuple(field.name for field in fields(WordLatency)) == PARTS


@pytest.mark.parametrize("name", ["word_latency", "first_partial", "ttfs"])
def test_prometheus_says_what_the_table_says(name: str) -> None:
    help_text = {family.name: family.documentation for family in Metrics().registry.collect()}
    assert help_text[f"captions_{name}_seconds"] == next(figure.meaning for figure in FIGURES if figure.name == name)


def test_the_page_gets_its_parts_and_their_titles_from_the_table() -> None:
    page = Pages().answer("/overlay/figures.js")
    assert page is not None
    module = page.body.decode()
    assert all(f'"{part}"' in module for part in PARTS)
    assert '"lane_wait": ["lane", "place"]' in module


def test_reports_title_every_part() -> None:
    assert [title(f"part_{part}") for part in PARTS][:2] == ["of it buffer, mean", "of it model delay, mean"]
