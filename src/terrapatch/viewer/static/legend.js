// The list of clusters: colour, name, size and bar; rename and recolour in place.

import { hectares, number, share } from "./grid.js";
import { make } from "./messages.js";

export class LegendList {
  // `page` has book, chosen, choose(id), changed(words), askMerge(id).
  constructor(page) {
    this.page = page;
    this.list = document.getElementById("legend");
    this.editing = null;
  }

  draw() {
    const focused = this.focusedId();
    const groups = this.page.book.groups();
    const total = groups.reduce((sum, g) => sum + g.cells, 0) || 1;
    const most = Math.max(1, ...groups.map((g) => g.cells));
    const reachable = this.reachable(groups);
    this.list.replaceChildren(...groups.map((g) => this.line(g, total, most, reachable)));
    const named = groups.filter((g) => g.named).length;
    document.getElementById("legend-sum").textContent =
      `${groups.length} of ${this.page.book.rows.length} clusters, ${named} named`;
    if (focused !== null) this.focus(focused);
  }

  reachable(groups) {
    const { book, chosen } = this.page;
    return chosen === null ? groups[0].id : book.root(chosen);
  }

  line(group, total, most, reachable) {
    const chosen = this.page.chosen !== null && this.page.book.root(this.page.chosen) === group.id;
    const colour = make("input", {
      type: "color", class: "swatch", value: group.colour, tabindex: chosen ? 0 : -1,
      "aria-label": `Colour of ${group.name}`, title: "Another colour",
      onchange: (event) => {
        this.page.book.recolour(group.id, event.target.value);
        this.page.changed();
      },
    });
    const part = group.cells / total;
    const size = [`${number(group.cells)} cells`, hectares(group.hectares), share(part)];
    const bar = make("span", { class: "bar-fill", colour: group.colour });
    bar.style.width = `${(100 * group.cells) / most}%`;
    const pick = make("button", {
      type: "button", class: "pick", tabindex: group.id === reachable ? 0 : -1,
      "aria-current": chosen ? "true" : null, "data-id": group.id,
      "aria-label": `${group.name}, ${size.filter(Boolean).join(", ")}`,
      onclick: () => this.page.choose(group.id),
      ondblclick: () => this.edit(group.id),
      onkeydown: (event) => this.move(event, group.id),
    },
    make("span", { class: "name" }, group.name,
      group.members.length > 1
        ? make("span", { class: "merged", title: `Clusters ${group.members.join(", ")}` },
          `${group.members.length} merged`) : null),
    make("span", { class: "cells-count" }, number(group.cells)),
    make("span", { class: "area" }, hectares(group.hectares)),
    make("span", { class: "share" }, share(part)),
    make("span", { class: "bar-track" }, bar));
    return make("li", { class: chosen ? "chosen" : "", "data-id": group.id }, colour, pick);
  }

  move(event, id) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const ids = this.page.book.groups().map((g) => g.id);
    let next = null;
    if (step) next = ids[Math.min(Math.max(ids.indexOf(id) + step, 0), ids.length - 1)];
    if (event.key === "Home") next = ids[0];
    if (event.key === "End") next = ids.at(-1);
    if (next === null) return;
    event.preventDefault();
    this.page.choose(next);
    this.focus(next);
  }

  focusedId() {
    const line = document.activeElement?.closest?.("#legend li");
    return line ? this.page.book.root(Number(line.dataset.id)) : null;
  }

  focus(id) {
    const root = this.page.book.root(id);
    this.list.querySelector(`.pick[data-id="${root}"]`)?.focus();
  }

  // Put a field in the place of a name; Enter takes it, Escape leaves it.
  edit(id) {
    const root = this.page.book.root(id);
    if (this.page.chosen === null || this.page.book.root(this.page.chosen) !== root) {
      this.page.choose(root);
    }
    const line = this.list.querySelector(`li[data-id="${root}"]`);
    if (!line || line.querySelector(".naming")) return;
    const field = make("input", {
      type: "text", class: "field", maxlength: 120, autocomplete: "off", spellcheck: "true",
      "aria-label": `Name of ${this.page.book.shown(root)}`, placeholder: `Cluster ${root}`,
    });
    field.value = this.page.book.row(root).name;
    const form = make("form", { class: "naming" }, field,
      make("button", { type: "submit", class: "primary" }, "Name"));
    const leave = () => {
      this.draw();
      this.focus(root);
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.take(root, field, form);
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      leave();
    });
    line.querySelector(".pick").replaceWith(form);
    line.scrollIntoView({ block: "nearest" });
    field.focus();
    field.select();
  }

  take(id, field, form) {
    const name = field.value.trim();
    const taken = name ? this.page.book.holder(name, id) : null;
    if (taken !== null) {
      this.offerMerge(id, taken, name, form, field);
      return;
    }
    this.page.book.rename(id, name);
    this.page.changed();
    this.focus(id);
  }

  // Two clusters of one name cannot be saved: they are one class, or one needs another name.
  offerMerge(id, taken, name, form, field) {
    form.querySelector(".taken")?.remove();
    field.setAttribute("aria-invalid", "true");
    const merge = make("button", {
      type: "button",
      onclick: () => {
        this.page.book.merge(id, taken);
        this.page.choose(taken);
        this.page.changed();
        this.focus(taken);
      },
    }, "Merge into it");
    form.append(make("p", { class: "taken", role: "alert" },
      `Another cluster is called “${name}” already. `, merge, " or give another name."));
    merge.focus();
  }
}
