"""The look of a page and its few lines of script, as text that stands inside the page.

The script holds neither ``<`` nor ``&``, so that a page is XML as well as HTML. Without it a
page loses sorting by a click, and nothing else.
"""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1f2328; --soft: #59636e;
  --line: #d1d9e0; --tint: #f5f7f9; --accent: #005f96; --good: #00694b; --bad: #a83f00; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #14181c; --ink: #e6e9ec;
  --soft: #a3adb8; --line: #3a424a; --tint: #1c2126; --accent: #7cc0f4; --good: #4fd0a5;
  --bad: #ff9d66; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 58rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1, h2, h3 { line-height: 1.25; text-wrap: balance; overflow-wrap: anywhere; }
h1 { font-size: 1.9rem; margin: 0 0 .5rem; }
h2 { font-size: 1.35rem; margin: 2.75rem 0 .75rem; padding-top: .75rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.08rem; margin: 1.75rem 0 .5rem; }
p { max-width: 44rem; margin: .75rem 0; overflow-wrap: anywhere; }
.lead { font-size: 1.12rem; color: var(--soft); }
.note { border-left: 4px solid var(--accent); background: var(--tint); padding: .6rem .9rem;
  border-radius: 0 4px 4px 0; }
.note.warning { border-color: var(--bad); }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: .5rem; padding: .3rem .6rem; background: var(--paper); }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0;
  margin: 1rem 0 0; }
nav a { display: inline-block; padding: .25rem 0; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0; }
dl > div { background: var(--tint); border-radius: 6px; padding: .6rem .8rem; }
dt { color: var(--soft); font-size: .85rem; overflow-wrap: anywhere; }
dd { margin: 0; font-size: 1.2rem; font-weight: 600; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; }
figcaption, caption { color: var(--soft); font-size: .92rem; text-align: left; max-width: 44rem; }
figcaption { margin-top: .5rem; }
caption { padding-bottom: .5rem; }
.scroll { overflow-x: auto; }
figure svg { display: block; width: 100%; height: auto; min-width: 30rem; }
figure img { display: block; max-width: 100%; height: auto; }
.sheet { background: #ffffff; padding: .5rem; border-radius: 4px; width: fit-content;
  max-width: 100%; }
svg text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
table { border-collapse: collapse; font-size: .93rem; font-variant-numeric: tabular-nums;
  margin: 1.25rem 0; }
th, td { padding: .32rem .7rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; max-width: 24rem; overflow-wrap: break-word; }
thead th { border-bottom: 2px solid var(--soft); vertical-align: bottom; }
tbody th { font-weight: 500; }
tbody tr:hover { background: var(--tint); }
.r { text-align: right; white-space: nowrap; }
.c { text-align: center; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
th button::after { content: "\\2195"; margin-left: .3em; color: var(--soft); font-weight: 400; }
th[aria-sort=ascending] button::after { content: "\\2191"; color: var(--accent); }
th[aria-sort=descending] button::after { content: "\\2193"; color: var(--accent); }
.gallery { list-style: none; display: grid; padding: 0; margin: 0; gap: 1rem .8rem;
  grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); }
.gallery img { width: 100%; border-radius: 4px; border: 1px solid var(--line); }
.gallery img.small { image-rendering: pixelated; }
.gallery li { font-size: .85rem; line-height: 1.35; overflow-wrap: anywhere; }
.gallery .right img { border: 3px solid var(--good); }
.gallery .wrong img { border: 3px dashed var(--bad); }
.tone { font-weight: 600; }
.right .tone { color: var(--good); }
.wrong .tone { color: var(--bad); }
summary { cursor: pointer; color: var(--accent); padding: .3rem 0; }
pre { background: var(--tint); padding: .9rem; border-radius: 6px; overflow-x: auto;
  font: .85rem/1.45 ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; }
@media (max-width: 40rem) { main { padding: 1.25rem 1rem 3rem; } h1 { font-size: 1.55rem; }
  th, td { padding: .3rem .45rem; } dl { grid-template-columns: 1fr 1fr; } }
@media print { @page { margin: 16mm; } main { max-width: none; padding: 0; } nav, .skip {
  display: none; } h2, h3 { break-after: avoid; } figure, tr, li, .note, dl > div {
  break-inside: avoid; } thead { display: table-header-group; } .scroll { overflow: visible; }
  figure svg { min-width: 0; max-width: 16cm; } th button::after { content: none; }
  pre { white-space: pre-wrap; } body { font-size: 10pt; } }
"""

SCRIPT = """
(function () {
  "use strict";
  var each = function (list, what) { Array.prototype.forEach.call(list, what); };
  var value = function (row, column) {
    var cell = row.cells[column];
    if (cell.hasAttribute("data-v")) { return parseFloat(cell.getAttribute("data-v")); }
    return cell.textContent;
  };
  var compare = function (a, b) {
    if (typeof a === "number") {
      if (typeof b === "number") { return a - b; }
      return -1;
    }
    if (typeof b === "number") { return 1; }
    return a.localeCompare(b, "en", { numeric: true });
  };
  var missing = function (cell) { return cell.hasAttribute("data-none"); };
  var sort = function (table, column, down) {
    var body = table.tBodies[0];
    var rows = Array.prototype.slice.call(body.rows);
    rows.sort(function (one, other) {
      var gone = missing(one.cells[column]), lost = missing(other.cells[column]);
      if (gone) { return lost ? 0 : 1; }
      if (lost) { return -1; }
      var order = compare(value(one, column), value(other, column));
      return down ? -order : order;
    });
    rows.forEach(function (row) { body.appendChild(row); });
  };
  each(document.querySelectorAll("table.sortable"), function (table) {
    var heads = table.tHead.rows[0].cells;
    each(heads, function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      while (head.firstChild) { button.appendChild(head.firstChild); }
      head.appendChild(button);
      button.addEventListener("click", function () {
        var now = head.getAttribute("aria-sort");
        var down = now ? now === "ascending" : head.classList.contains("r");
        each(heads, function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, column, down);
      });
    });
  });
  var opened = [];
  window.addEventListener("beforeprint", function () {
    each(document.querySelectorAll("details"), function (one) {
      if (one.open) { return; }
      one.open = true;
      opened.push(one);
    });
  });
  window.addEventListener("afterprint", function () {
    opened.forEach(function (one) { one.open = false; });
    opened = [];
  });
})();
"""
