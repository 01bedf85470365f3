// Keys of the whole page; those of the list and of dialogs are where these are.

const typing = (target) => Boolean(target.closest?.("input[type=text], textarea, select"));

export function listenToKeys(page) {
  document.addEventListener("keydown", (event) => {
    const held = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (document.querySelector("dialog[open]")) return;
    if (held && key === "s") {
      event.preventDefault();
      page.save();
      return;
    }
    if (typing(event.target)) return;
    if (held && (key === "z" || key === "y")) {
      event.preventDefault();
      if (key === "y" || event.shiftKey) page.redo();
      else page.undo();
      return;
    }
    if (held || event.altKey) return;
    plainKey(page, key, event);
  });
}

function plainKey(page, key, event) {
  if (key === "?") page.help();
  if (key === "e" && page.chosen !== null) page.legend.edit(page.chosen);
  if (key === "m" && page.chosen !== null) page.askMerge(page.chosen);
  if (key === "s" && page.cell) page.showSimilar(page.cell);
  if (key === "escape") page.chooseNothing();
  if (key === "enter" && event.target.id === "map") {
    const cell = page.map.middle();
    if (cell) page.chooseCell(cell, false);
  }
  if (["?", "e", "m", "s"].includes(key)) event.preventDefault();
}
