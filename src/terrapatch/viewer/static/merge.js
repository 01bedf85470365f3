// The dialog that asks which cluster another becomes part of.

import { hectares, number } from "./grid.js";
import { make } from "./messages.js";

export function askMerge(page, id) {
  const { book } = page;
  const from = book.root(id);
  const others = book.groups().filter((g) => g.id !== from);
  if (!others.length) return;
  const dialog = document.getElementById("merge-dialog");
  document.getElementById("merge-title").textContent = `Merge ${book.shown(from)} into …`;
  const named = [...others.filter((g) => g.named), ...others.filter((g) => !g.named)];
  const buttons = named.map((group) => make("button", {
    type: "button",
    onclick: () => {
      dialog.close();
      book.merge(from, group.id);
      page.choose(group.id);
      page.changed();
      page.legend.focus(group.id);
    },
  },
  make("span", { class: "dot", colour: group.colour }), make("span", { class: "name" }, group.name),
  make("span", { class: "size" }, `${number(group.cells)} cells ${hectares(group.hectares)}`)));
  buttons.forEach((button, i) => button.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    buttons[(i + step + buttons.length) % buttons.length].focus();
  }));
  document.getElementById("merge-list").replaceChildren(
    ...buttons.map((button) => make("li", {}, button)));
  document.getElementById("merge-cancel").onclick = () => dialog.close();
  dialog.onclose = () => {
    if (!dialog.contains(document.activeElement) && document.activeElement !== document.body) return;
    page.legend.focus(from);
  };
  dialog.showModal();
  buttons[0].focus();
}
