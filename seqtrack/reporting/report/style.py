"""How a report looks and what it does: a phone, paper, the dark; tables that sort and filter."""

from __future__ import annotations

from seqtrack.reporting.plots import PALETTE

MOST_RUNS = 24

STYLE = """
html { scroll-padding-top: 3rem; }
body { padding-top: 0; max-width: 90rem; }
h1 { margin: 1rem 0 .5rem; }
h2 { border-top: 1px solid var(--line); padding-top: 1rem; margin-top: 2rem; }
h3 { margin: 1rem 0 .3rem; font-size: 1rem; break-after: avoid; }
h4 { margin: 0; font-size: .95rem; overflow-wrap: anywhere; }
nav { position: sticky; top: 0; z-index: 2; display: flex; gap: 1rem; overflow-x: auto; white-space: nowrap;
 background: Canvas; border-bottom: 1px solid var(--line); padding: .5rem 1rem; margin: 0 -1rem;
 scrollbar-width: thin; }
a { color: inherit; text-decoration-color: var(--soft); }
.cards { display: flex; flex-wrap: wrap; gap: 1rem; }
.card { flex: 1 1 20rem; min-width: 0; border-left: 4px solid var(--run); padding-left: .75rem; }
.card h2 { border: 0; margin: 0; padding: 0; font-size: 1.1rem; overflow-wrap: anywhere; }
.card .swatch { display: none; }
.problems, .problems a, .bad { color: var(--bad); }
.note { max-width: 60rem; }
.sheet { margin: .5rem 0 1rem; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
 white-space: nowrap; }
th { font-weight: normal; }
.long { white-space: normal; min-width: 14rem; max-width: 50rem; overflow-wrap: anywhere; }
tbody th { position: sticky; left: 0; background: Canvas; }
thead th { position: relative; padding: 0; border-bottom: 2px solid var(--line); vertical-align: bottom; }
tbody tr:hover { background: #8881; }
.number { text-align: right; }
.best { font-weight: bold; }
th button { all: unset; box-sizing: border-box; width: 100%; cursor: pointer; padding: .3rem .6rem; font-weight: bold;
 white-space: nowrap; }
th button:focus-visible { outline: 2px solid; outline-offset: -2px; }
th button::after { content: "↕"; opacity: .3; margin-left: .2rem; font-weight: normal; }
th[aria-sort=ascending] button::after { content: "↑"; opacity: 1; }
th[aria-sort=descending] button::after { content: "↓"; opacity: 1; }
.tools input { font: inherit; padding: .2rem .5rem; max-width: 60vw; }
.swatch { display: inline-block; width: .7em; height: .7em; border-radius: 50%; background: var(--run);
 margin-right: .4em; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 25rem), 1fr)); gap: .5rem 1rem; }
.gallery figure, .beside figure { break-inside: avoid; }
.plot { width: 100%; max-width: 34rem; height: auto; display: block; overflow: visible; }
.beside { display: flex; flex-wrap: wrap; gap: 0 2rem; align-items: start; }
.beside .sheet { min-width: 0; max-width: 100%; }
.beside figure { flex: 1 1 22rem; max-width: 34rem; }
details { margin: .4rem 0; }
summary { cursor: pointer; }
pre { overflow-x: auto; font-size: .8rem; line-height: 1.35; background: #8881; padding: .6rem; border-radius: .3rem;
 margin: .4rem 0; }
.lost { padding: .6rem 0; break-inside: avoid; }
.lost p span { margin-right: 1rem; white-space: nowrap; }
.strip { grid-template-columns: repeat(6, 1fr); max-width: 90rem; }
.strip .picture, .strip .picture img { width: 100%; max-height: none; }
@media screen and (max-width: 60rem) { .strip { grid-template-columns: repeat(3, 1fr); } }
@media screen and (max-width: 30rem) { .strip { grid-template-columns: repeat(2, 1fr); } }
.timeline { width: 100%; height: 3.2rem; display: block; border: solid var(--line); border-width: 1px 0;
 margin: .3rem 0; }
.timeline polyline { fill: none; stroke: var(--run); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.timeline path { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 3; vector-effect: non-scaling-stroke; }
.timeline rect { fill: #8884; }
.picture rect[class^=run] { stroke: var(--run); }
figure.broken .picture { display: block; padding: .5rem; background: var(--bad); color: #fff; line-height: 1.3;
 font-size: .75rem; overflow-wrap: anywhere; }
.legend i { display: inline-block; width: 1.1rem; height: .8rem; border: 2px solid var(--run, var(--truth));
 margin-right: .3rem; vertical-align: -.1rem; }
.legend span { margin-right: 1rem; }
@media print {
 @page { margin: 12mm; }
 body { font-size: 9pt; max-width: none; padding: 0; }
 nav, .tools { display: none; }
 .scroll, pre { overflow: visible; }
 pre { white-space: pre-wrap; overflow-wrap: anywhere; }
 table { font-size: 7pt; }
 tbody th { position: static; }
 .long { min-width: 0; }
 th, td, th button { white-space: normal; padding: .1rem .2rem; }
 th button::after { content: none !important; }
 tr { break-inside: avoid; }
 .gallery { grid-template-columns: 1fr 1fr; }
 details::details-content { content-visibility: visible; display: block; }
}
""" + "".join(f".run-{k} {{ --run: {PALETTE[k % len(PALETTE)]}; }}\n" for k in range(MOST_RUNS))

SCRIPT = """
const compare = (a, b) =>
  typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(b, "en", {numeric: true});
const keyOf = (row, column) => {
  const cell = row.cells[column], value = cell.dataset.value;
  return value === undefined ? cell.textContent.toLowerCase() : value === "" ? null : Number(value);
};
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    // Of scores the best is looked for first, of names the beginning of the alphabet.
    const first = head.classList.contains("number") ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? second : first;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row) => [keyOf(row, column), row]);
    rows.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b));
    body.append(...rows.map(([, row]) => row));
  }));
}
for (const sheet of document.querySelectorAll(".sheet")) {
  const field = sheet.querySelector("input");
  if (!field) continue;
  const rows = [...sheet.querySelector("tbody").rows], output = sheet.querySelector("output");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\\s+/).filter(Boolean);
    for (const row of rows) {
      const names = [...row.cells].filter((cell) => cell.dataset.value === undefined);
      const text = names.map((cell) => cell.textContent.toLowerCase()).join(" ");
      row.hidden = !words.every((word) => text.includes(word));
    }
    output.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
  });
}
// On paper nothing can be unfolded.
const folded = [];
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not([open])")) {
    details.open = true;
    folded.push(details);
  }
});
addEventListener("afterprint", () => folded.splice(0).forEach((details) => { details.open = false; }));
"""
