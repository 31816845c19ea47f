"""A data set as one HTML page that needs nothing else: pictures are in it, and it asks no network for anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.indexing.index import Index, Totals
from seqtrack.data.sampling.rng import generator
from seqtrack.reporting.contact_sheet import Pair
from seqtrack.reporting.film_strip import Strip, Tile
from seqtrack.reporting.histogram import histogram
from seqtrack.reporting.page import count, document, picture

LINKED = 20  # frames that do not decode, at the top
MEASURED_TRACKS = 20_000  # histograms of a data set with more are of a random part of it


@dataclass(frozen=True)
class Overview:
    """A data set in numbers; ``sides`` (M,) are of targets in view, sqrt(width height) in pixels of the original,
    ``lengths`` (T,) how many labels a track has, both of ``measured`` tracks."""

    totals: Totals
    sides: NDArray[np.float64]
    lengths: NDArray[np.float64]
    measured: int


def overview(index: Index, videos: Sequence[int]) -> Overview:
    """Of these videos."""
    tracks = [track for video in videos for track in index.tracks_of(video)]
    frames = sum(index.video_length(video) for video in videos)
    measured = tracks
    if len(tracks) > MEASURED_TRACKS:
        measured = generator(0, "overview", index.name).choice(tracks, MEASURED_TRACKS, replace=False).tolist()
    labels = [index.track(number) for number in measured]
    areas = [track.boxes[track.present, 2] * track.boxes[track.present, 3] for track in labels]
    lengths = np.array([len(track.frames) for track in labels], np.float64)
    if len(videos) == index.num_videos:
        totals = index.totals()
    else:
        present = sum(int(index.track(number).present.sum()) for number in tracks)
        rows = sum(len(index.track(number).frames) for number in tracks)
        totals = Totals(len(videos), len(tracks), frames, present, rows - present)
    return Overview(totals, np.sqrt(np.concatenate([np.zeros(0), *areas])), lengths, len(measured))


def render(
    title: str,
    notes: Sequence[str],
    numbers: Overview,
    strips: Sequence[Strip],
    pairs: Sequence[Pair] = (),
    pairs_note: str = "",
) -> str:
    """The whole page; ``notes`` are lines below the title, ``pairs_note`` is one above the pairs.

    Names are escaped; whatever they contain, they are text.
    """
    broken = [(strip.video, tile.frame) for strip in strips for tile in strip.tiles if tile.picture is None]
    places = {where: f"broken-{number}" for number, where in enumerate(broken, start=1)}
    is_graded = any(strip.is_graded for strip in strips)
    sections = [
        f'<section class="videos">{"".join(_article(strip, is_graded, places) for strip in strips)}</section>'
    ]
    if pairs:
        seen = "".join(_pair(pair) for pair in pairs)
        sections.append(
            f'<h2>What training sees</h2><p>{escape(pairs_note)}</p><section class="pairs">{seen}</section>'
        )
    body = _BODY.format(
        title=escape(title),
        notes="".join(f"<p>{escape(note)}</p>\n" for note in notes),
        problems=_problems(places),
        facts=_facts(numbers),
        legend=_legend(strips),
        shown=count(len(strips), "video"),
        body="".join(sections),
    )
    return document(title, body, _STYLE, _SCRIPT)


def _problems(places: Mapping[tuple[str, int], str]) -> str:
    """How many frames do not decode, and links to the first of them."""
    if not places:
        return ""
    links = [
        f'<a href="#{place}">{escape(video)}, frame {frame}</a>'
        for (video, frame), place in list(places.items())[:LINKED]
    ]
    links += [f"and {len(places) - LINKED:,} more"] * (len(places) > LINKED)
    verb = "does" if len(places) == 1 else "do"
    return f'<p class="problems">{count(len(places), "frame")} {verb} not decode: {"; ".join(links)}</p>'


def _legend(strips: Sequence[Strip]) -> str:
    """Of the marks that occur."""
    tiles = [tile for strip in strips for tile in strip.tiles]
    entries = [
        ("<i></i> target", any(tile.marks for tile in tiles)),
        ('<i class="occluded"></i> occluded', any(mark.is_occluded for tile in tiles for mark in tile.marks)),
        ('<b class="absent">absent</b> not in view', any(tile.absent for tile in tiles)),
        ('<i class="broken"></i> does not decode', any(tile.picture is None for tile in tiles)),
    ]
    return "".join(f"<span>{text}</span>" for text, occurs in entries if occurs)


def _facts(numbers: Overview) -> str:
    counts = "".join(
        f"<div><dt>{name}</dt><dd>{number:,}</dd></div>" for name, number in numbers.totals._asdict().items()
    )
    of = "" if numbers.measured == numbers.totals.tracks else f" ({numbers.measured:,} tracks)"
    drawn = histogram(numbers.sides, f"size of targets{of}", "px") + histogram(
        numbers.lengths, f"labels of a track{of}", "frames"
    )
    return f'<dl>{counts}</dl><div class="histograms">{drawn}</div>'


def _article(strip: Strip, is_graded: bool, places: Mapping[tuple[str, int], str]) -> str:
    facts = [
        f"{strip.size[0]}×{strip.size[1]}",
        count(strip.frames, "frame"),
        count(strip.labels, "label"),
        count(strip.tracks, "target"),
    ]
    facts += [f"{strip.absent:,} absent"] * (strip.absent > 0) + [f"{strip.occluded:,} occluded"] * (
        strip.occluded > 0
    )
    facts += [f"visibility {strip.visibility:.2f}"] * (is_graded and strip.labels > 0)
    categories = ", ".join(strip.categories)
    text = f"{strip.video} {categories}".lower()
    tag = f'<span class="category">{escape(categories)}</span>' if categories else ""
    tiles = "".join(_figure(strip.video, tile, places.get((strip.video, tile.frame), "")) for tile in strip.tiles)
    return (
        f'<article data-text="{escape(text)}"><h3>{escape(strip.video)} {tag}</h3>'
        f'<p>{" · ".join(facts)}</p><div class="strip">{tiles}</div></article>'
    )


def _figure(video: str, tile: Tile, place: str) -> str:
    if tile.picture is None:
        return (
            f'<figure class="broken" id="{place}"><div class="picture">{escape(tile.problem)}</div>'
            f"<figcaption>{tile.frame} · does not decode</figcaption></figure>"
        )
    boxes = [(mark.box, "occluded" if mark.is_occluded else "") for mark in tile.marks]
    absent = ' · <b class="absent">absent</b>' if tile.absent else ""
    shown = picture(tile.picture, boxes, f"frame {tile.frame} of {video}")
    kind = ' class="out"' if tile.absent else ""
    return f"<figure{kind}>{shown}<figcaption>{tile.frame}{absent}</figcaption></figure>"


def _pair(pair: Pair) -> str:
    pictures = "".join(
        picture(crop, [(tuple(box.tolist()), kind)], what)
        for crop, box, kind, what in (
            (pair.exemplar, pair.exemplar_box, "", "exemplar"),
            (pair.search, pair.search_box, "" if pair.is_positive else "negative", "search region"),
        )
    )
    kind = "" if pair.is_positive else '<b class="absent">negative</b> '
    return f"<figure><div class=both>{pictures}</div><figcaption>{kind}{escape(pair.text)}</figcaption></figure>"


_BODY = """<header>
<h1>{title}</h1>
{notes}{problems}
{facts}
<p class="tools"><label>Show videos with <input id="filter" type="search" placeholder="name or category"></label>
<span id="count">{shown}</span></p>
<p class="legend">{legend}</p>
</header>
<main>{body}</main>"""

_STYLE = """
dl { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin: .75rem 0; }
dt { color: var(--soft); font-size: .8rem; }
dd { margin: 0; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
.histograms { display: flex; flex-wrap: wrap; gap: 1rem 2rem; }
.histogram { max-width: 100%; height: auto; fill: currentColor; }
.histogram rect { fill: #48c; }
.histogram .title { font-size: 11px; }
.histogram .tick { font-size: 8px; text-anchor: middle; }
.tools input { font: inherit; padding: .25rem .5rem; max-width: 100%; }
.legend i { display: inline-block; width: 1.1rem; height: .8rem; border: 2px solid var(--truth); }
.legend span { margin-right: .8rem; }
.legend i.occluded { border-style: dashed; }
.legend i.broken { border: 0; background: var(--bad); }
.problems, .problems a { color: var(--bad); }
article { border-top: 1px solid var(--line); padding: .6rem 0; break-inside: avoid; }
.category { font-weight: normal; font-size: .8rem; border: 1px solid var(--line); border-radius: 1rem;
 padding: 0 .5rem; }
.picture rect.negative { stroke: var(--bad); }
.picture rect.occluded { stroke-dasharray: 5 4; }
.out .picture { outline: 2px solid var(--bad); outline-offset: -2px; }
.broken .picture { display: block; padding: .5rem; background: var(--bad); color: #fff; line-height: 1.3;
 font-size: .75rem; overflow-wrap: anywhere; }
.broken:target { outline: 3px solid currentColor; }
.pairs { display: flex; flex-wrap: wrap; gap: .8rem; }
.pairs figure { max-width: 100%; }
.both { display: flex; gap: .3rem; align-items: center; }
.both .picture { min-width: 0; flex: 0 1 auto; }
.pairs figcaption { max-width: 24rem; overflow-wrap: anywhere; }
@media print {
 .tools { display: none; }
}
"""


_SCRIPT = """
const field = document.getElementById("filter");
const articles = [...document.querySelectorAll("article")];
field.addEventListener("input", () => {
  const words = field.value.toLowerCase().split(/\\s+/).filter(Boolean);
  for (const article of articles) {
    article.hidden = !words.every((word) => article.dataset.text.includes(word));
  }
  const shown = articles.filter((article) => !article.hidden).length;
  document.getElementById("count").textContent = `${shown} of ${articles.length} videos`;
});
"""
