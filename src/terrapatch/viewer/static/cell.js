// What is known of the chosen cell: its patch, cluster, distance, place, and its like.

import { number, placeWords } from "./grid.js";
import { make } from "./messages.js";
import { patchButton } from "./cluster.js";

export class CellCard {
  constructor(page) {
    this.page = page;
    this.home = document.getElementById("cell");
    this.told = null;
  }

  async load(cell) {
    this.home.replaceChildren(make("p", { class: "hint" }, this.page.looking));
    this.told = null;
    try {
      const told = await this.page.source.cell(cell.row, cell.col);
      const now = this.page.cell;
      if (!now || now.row !== cell.row || now.col !== cell.col) return;
      this.told = told;
      this.draw();
    } catch (fault) {
      this.home.replaceChildren(make("p", { class: "hint" }, fault.message));
    }
  }

  draw() {
    const { told } = this;
    if (!told) {
      if (!this.page.cell) {
        this.home.replaceChildren(make("p", { class: "hint" },
          "Click a cell on the map, or press Enter on the map to pick the one in its middle."));
      }
      return;
    }
    if (told.cluster === 0) {
      this.home.replaceChildren(make("p", { class: "hint" },
        `Row ${told.row}, column ${told.col}: ${this.page.grid.partial
          ? "in none of these clusters; the scene has no data there, or it lies outside the cluster "
            + "that was looked into." : "an empty cell, the scene has no data there."}`));
      return;
    }
    const image = make("img", { class: "large", width: 168, height: 168,
      alt: `Patch of the cell in row ${told.row}, column ${told.col}` });
    this.page.source.patch(told.row, told.col).then(
      (address) => { image.src = address; }, () => image.classList.add("missing"));
    this.home.replaceChildren(
      make("div", { class: "cell-top" }, image, this.facts(told)),
      this.similarButton(told),
      make("h5", {}, "Nearest others"),
      make("div", { class: "patches" }, ...told.nearest.map((other) => this.other(other))));
  }

  facts(told) {
    const { book, grid } = this.page;
    const root = book.root(told.cluster);
    const fact = (name, ...value) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, ...value));
    const middle = [(told.row + 0.5) * grid.stride[0], (told.col + 0.5) * grid.stride[1]];
    const place = told.lon === null ? grid.whereIs(...middle) : told;
    const [map, earth] = placeWords(place, grid.place.crs);
    const raw = book.shown(told.cluster);
    const merged = root === told.cluster ? "" : ` (merged: ${raw})`;
    return make("dl", { class: "cell-facts" },
      fact("Cluster", make("button", { type: "button", class: "link",
        onclick: () => this.page.choose(root, true) },
      make("span", { class: "dot", colour: book.row(root).colour }), book.shown(root)), merged),
      fact("Distance", `${number(told.distance, 3)}, ${this.rank(told)}`),
      fact(grid.place.crs ? grid.place.crs.split(" ")[0] : "No CRS", map),
      earth ? fact("Latitude, longitude", earth) : null,
      fact("Row, column", `${told.row}, ${told.col}`),
      told.valid < 0.9995 ? fact("Valid pixels", `${number(100 * told.valid, 1)} %`) : null);
  }

  // How many cells of its cluster lie nearer to the centre.
  rank(told) {
    const { grid } = this.page;
    const own = grid.distances[grid.number(told.row, told.col)];
    let nearer = 0;
    let all = 0;
    grid.ids.forEach((id, i) => {
      if (id !== told.cluster) return;
      all += 1;
      if (grid.distances[i] < own) nearer += 1;
    });
    return all < 2 ? "alone in it" : `farther than ${Math.round((100 * nearer) / all)} % of it`;
  }

  similarButton(told) {
    return make("div", { class: "buttons" }, make("button", {
      type: "button", "aria-keyshortcuts": "s", onclick: () => this.page.showSimilar(told),
    }, "Show what is similar to this"));
  }

  other(other) {
    const { book } = this.page;
    const button = patchButton(this.page, other, number(other.score, 2), "Similar");
    const name = book.shown(book.root(other.cluster));
    button.title = `${name}, similarity ${number(other.score, 2)}`;
    button.querySelector("span").prepend(
      make("span", { class: "dot", colour: book.row(book.root(other.cluster)).colour }));
    return button;
  }
}
