// What is known of the chosen cluster: size, distances, and patches to know it by.

import { hectares, number, share } from "./grid.js";
import { make } from "./messages.js";

const TYPICAL = 4;
const BINS = 28;

export function patchButton(page, cell, words, title) {
  const image = make("img", { alt: "", width: 104, height: 104 });
  page.source.patch(cell.row, cell.col).then(
    (address) => { image.src = address; },
    () => image.classList.add("missing"),
  );
  return make("button", {
    type: "button", class: "patch", title,
    "aria-label": `${title}: row ${cell.row}, column ${cell.col}${words ? `, ${words}` : ""}`,
    onclick: () => page.chooseCell(cell, true),
  }, image, words ? make("span", {}, words) : null);
}

export class ClusterCard {
  constructor(page) {
    this.page = page;
    this.home = document.getElementById("cluster");
    this.asked = 0;
    this.told = new Map();
  }

  draw() {
    const { book, chosen } = this.page;
    if (chosen === null) {
      this.home.replaceChildren(make("p", { class: "hint" },
        "Choose a cluster in the list to see what is in it, or click a cell on the map."));
      return;
    }
    const group = book.group(chosen);
    this.home.replaceChildren(
      make("div", { class: "card-head" },
        make("span", { class: "dot", colour: group.colour }), make("h3", {}, group.name)),
      this.buttons(group), this.facts(group), this.histogram(group),
      ...group.members.map((id) => this.member(id, group)));
  }

  buttons(group) {
    const button = (text, keys, act) =>
      make("button", { type: "button", "aria-keyshortcuts": keys, onclick: act }, text);
    return make("div", { class: "buttons" },
      button("Name …", "e", () => this.page.legend.edit(group.id)),
      button("Merge into …", "m", () => this.page.askMerge(group.id)));
  }

  facts(group) {
    const total = this.page.book.clusters.reduce((sum, c) => sum + c.cells, 0) || 1;
    const fact = (name, value) => make("div", {}, make("dt", {}, name), make("dd", {}, value));
    return make("dl", { class: "facts" },
      fact("Cells", number(group.cells)),
      group.hectares === null ? null : fact("Area", hectares(group.hectares)),
      fact("Share", share(group.cells / total)));
  }

  // How far its cells lie from their centres; behind it, in grey, all cells of the map.
  histogram(group) {
    const { grid } = this.page;
    const known = grid.distances.filter((d) => !Number.isNaN(d));
    const low = known.reduce((a, b) => Math.min(a, b), Infinity);
    const high = known.reduce((a, b) => Math.max(a, b), -Infinity);
    const members = new Set(group.members);
    const own = new Array(BINS).fill(0);
    const all = new Array(BINS).fill(0);
    grid.distances.forEach((d, i) => {
      if (Number.isNaN(d)) return;
      const bin = Math.min(BINS - 1, Math.floor(((d - low) / (high - low || 1)) * BINS));
      all[bin] += 1;
      if (members.has(grid.ids[i])) own[bin] += 1;
    });
    const bars = (counts, css, colour) => {
      const most = Math.max(1, ...counts);
      return make("div", { class: `bins ${css}` }, ...counts.map((n) => {
        const bar = make("i", colour ? { colour } : {});
        bar.style.height = `${(100 * n) / most}%`;
        return bar;
      }));
    };
    return make("figure", { class: "histogram" },
      make("div", { class: "plot" }, bars(all, "all"), bars(own, "own", group.colour)),
      make("figcaption", {},
        make("span", {}, number(low, 2)),
        make("span", {}, "distance to the centre (grey: all cells)"),
        make("span", {}, number(high, 2))));
  }

  member(id, group) {
    const home = make("section", { class: "member" });
    if (group.members.length > 1) {
      const separate = id === group.id ? null : make("button", {
        type: "button",
        onclick: () => {
          this.page.book.separate(id);
          this.page.choose(id);
          this.page.changed();
          this.page.legend.focus(id);
        },
      }, "Separate again");
      const own = this.page.book.row(id).name;
      const title = own && id !== group.id ? `Cluster ${id}, “${own}”` : `Cluster ${id}`;
      home.append(make("div", { class: "member-head" }, make("h4", {}, title), separate));
    }
    const place = make("div", { class: "exemplars" }, make("p", { class: "hint" }, this.page.looking));
    home.append(place);
    this.exemplars(id).then(
      (cells) => place.replaceChildren(...this.pictures(cells)),
      (fault) => place.replaceChildren(make("p", { class: "hint" }, fault.message)),
    );
    return home;
  }

  exemplars(id) {
    if (!this.told.has(id)) {
      const asked = this.page.source.cluster(id).then((told) => told.exemplars);
      asked.catch(() => this.told.delete(id));
      this.told.set(id, asked);
    }
    return this.told.get(id);
  }

  pictures(cells) {
    if (!cells.length) return [make("p", { class: "hint" }, "No cell of this map is in it.")];
    const row = (title, some) => (some.length ? [
      make("h5", {}, title),
      make("div", { class: "patches" }, ...some.map((cell) => patchButton(this.page, cell, "", title))),
    ] : []);
    return [
      ...row("Most typical", cells.slice(0, TYPICAL)),
      ...row("As different as they come", cells.slice(TYPICAL)),
    ];
  }
}
