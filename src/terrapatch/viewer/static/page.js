// The page: holds what is chosen and what was changed, and has the parts draw it.

import { Grid, number, placeWords } from "./grid.js";
import { NameBook } from "./names.js";
import { paintClusters, paintScale, paintValues, spreadOf } from "./paint.js";
import { clear, download, make, say, warn } from "./messages.js";
import { SceneMap } from "./map.js";
import { LegendList } from "./legend.js";
import { ClusterCard } from "./cluster.js";
import { CellCard } from "./cell.js";
import { askMerge } from "./merge.js";
import { listenToKeys } from "./keys.js";

const BEAT = 5000;
const at = (id) => document.getElementById(id);

class Page {
  constructor(source, study, grid) {
    Object.assign(this, { source, study, grid });
    this.book = new NameBook(study.names, study.clusters);
    this.stamp = study.names_stamp;
    this.chosen = null;
    this.cell = null;
    this.overlay = "clusters";
    this.scores = null;
    this.asked = null;
    this.canvas = make("canvas");
    this.map = new SceneMap(study, grid, source, this.canvas);
    this.legend = new LegendList(this);
    this.clusterCard = new ClusterCard(this);
    this.cellCard = new CellCard(this);
    this.saving = false;
  }

  begin() {
    at("title").textContent = this.study.title;
    at("subtitle").textContent = this.study.scene_name;
    document.title = `${this.study.title} – Terrapatch`;
    at("save").textContent = this.source.saves;
    this.about();
    this.listen();
    paintScale(at("ramp-canvas"));
    this.draw();
    if (this.study.notes.length) warn(this.study.notes.join(" "), "note");
    if (this.study.scene?.small_copy) {
      say("This scene has no overviews, so a small copy is made in memory, once: imagery appears bit "
        + "by bit. The command gdaladdo -ro makes overviews for good.");
    }
    at("imagery").disabled = !this.map.imagery;
    document.body.classList.add("ready");
  }

  listen() {
    this.map.onCell((cell) => this.chooseCell(cell, false));
    this.map.onFault((fault) => warn(fault.message, "tile"));
    this.map.onPointer((y, x) => this.point(y, x));
    at("opacity").addEventListener("input", (event) => {
      at("opacity-shown").textContent = `${event.target.value} %`;
      this.map.setOpacity(event.target.value / 100);
    });
    at("imagery").addEventListener("change", (event) => this.map.showImagery(event.target.checked));
    at("outlines").addEventListener("change", () => this.drawOutlines());
    document.querySelectorAll("input[name=overlay]").forEach((choice) =>
      choice.addEventListener("change", () => this.show(choice.value)));
    at("undo").addEventListener("click", () => this.undo());
    at("redo").addEventListener("click", () => this.redo());
    at("save").addEventListener("click", () => this.save());
    at("help").addEventListener("click", () => this.help());
    at("help-close").addEventListener("click", () => at("help-dialog").close());
    at("banner-close").addEventListener("click", () => clear());
    at("banner-keep").addEventListener("click", () => download("names.csv", this.book.csv()));
    this.listenToTabs();
    listenToKeys(this);
    window.addEventListener("beforeunload", (event) => {
      if (this.book.dirty) event.preventDefault();
    });
    if (this.source.state) setInterval(() => this.beat(), BEAT);
  }

  // What stands where the first answer about descriptors will be.
  get looking() {
    const size = this.study.descriptor_bytes / 2 ** 20;
    return size < 100 ? "Looking …"
      : `Looking … (all ${number(size)} MB of descriptors are read for the first answer)`;
  }

  listenToTabs() {
    const names = ["cluster", "cell", "about"];
    names.forEach((name, i) => {
      at(`tab-${name}`).addEventListener("click", () => this.tab(name));
      at(`tab-${name}`).addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const next = names[(i + step + names.length) % names.length];
        this.tab(next);
        at(`tab-${next}`).focus();
      });
    });
  }

  tab(shown) {
    for (const name of ["cluster", "cell", "about"]) {
      at(name).hidden = name !== shown;
      at(`tab-${name}`).setAttribute("aria-selected", String(name === shown));
      at(`tab-${name}`).tabIndex = name === shown ? 0 : -1;
    }
  }

  // Everything that a change of names or of the choice can touch.
  draw() {
    this.legend.draw();
    this.clusterCard.draw();
    this.cellCard.draw();
    this.paint();
    this.drawOutlines();
    at("undo").disabled = !this.book.canUndo;
    at("redo").disabled = !this.book.canRedo;
    at("save").disabled = this.saving || !(this.book.dirty || this.source.kind === "file");
    at("unsaved").hidden = !this.book.dirty;
  }

  paint() {
    const { canvas, grid } = this;
    at("ramp").hidden = this.overlay === "clusters";
    if (this.overlay === "clusters") {
      paintClusters(canvas, grid, this.book, this.chosen);
      return;
    }
    const similar = this.overlay === "similar";
    const values = similar ? this.scores : grid.distances;
    const [low, high] = spreadOf(values);
    paintValues(canvas, grid, values, low, high);
    at("ramp-low").textContent = number(low, 2);
    at("ramp-high").textContent = number(high, 2);
    at("ramp-word").textContent = similar
      ? `like row ${this.asked.row}, column ${this.asked.col}` : "distance to the centre";
  }

  show(overlay) {
    this.overlay = overlay;
    document.querySelector(`input[name=overlay][value=${overlay}]`).checked = true;
    this.paint();
    this.drawOutlines();
  }

  // Over similarities, outlines of a cluster would be read as their borders.
  drawOutlines() {
    const hidden = !at("outlines").checked || this.overlay === "similar";
    const wanted = this.chosen === null || hidden
      ? new Set() : new Set(this.book.group(this.chosen).members);
    this.map.drawOutlines(wanted.size ? this.grid.outlines(wanted) : []);
  }

  choose(id, toList = false) {
    this.chosen = this.book.root(id);
    this.tab("cluster");
    if (this.overlay === "similar") this.show("clusters");
    this.draw();
    const line = at("legend").querySelector("li.chosen");
    line?.scrollIntoView({ block: "nearest" });
    if (toList) this.legend.focus(id);
  }

  chooseNothing() {
    this.chosen = null;
    this.cell = null;
    this.cellCard.told = null;
    this.map.markCell(null);
    this.show("clusters");
    at("similar-choice").hidden = true;
    this.draw();
  }

  chooseCell(cell, fly) {
    this.cell = { row: cell.row, col: cell.col };
    const id = this.grid.ids[this.grid.number(cell.row, cell.col)];
    this.chosen = id === 0 ? null : this.book.root(id);
    this.tab("cell");
    this.map.markCell(cell);
    if (fly) this.map.fly(cell);
    this.cellCard.load(this.cell);
    this.draw();
    at("legend").querySelector("li.chosen")?.scrollIntoView({ block: "nearest" });
    say(id === 0 ? `Row ${cell.row}, column ${cell.col}: ${this.grid.partial ? "in none of these clusters" : "an empty cell"}`
      : `Row ${cell.row}, column ${cell.col}: ${this.book.shown(this.chosen)}`);
  }

  async showSimilar(cell) {
    try {
      this.scores = await this.source.similar(cell.row, cell.col);
    } catch (fault) {
      warn(fault.message);
      return;
    }
    this.asked = { row: cell.row, col: cell.col };
    at("similar-choice").hidden = false;
    this.show("similar");
    say(`Colours show how similar each cell is to row ${cell.row}, column ${cell.col}`
      + `${this.source.approximate ? ` (approximately: ${this.source.approximate})` : ""}. Esc goes back.`);
  }

  askMerge(id) {
    if (this.book.groups().length < 2) say("There is only one cluster left, so nothing to merge.");
    else askMerge(this, id);
  }

  changed() {
    this.draw();
    const { what } = this.book.steps[this.book.at];
    if (what) say(`Done: ${what}.`);
  }

  undo() {
    const what = this.book.undo();
    this.draw();
    say(what ? `Undone: ${what}.` : "Nothing to undo.");
  }

  redo() {
    const what = this.book.redo();
    this.draw();
    say(what ? `Done again: ${what}.` : "Nothing to redo.");
  }

  async save() {
    if (this.saving) return;
    if (!this.book.dirty && this.source.kind === "live") {
      say("Nothing has changed since the last save.");
      return;
    }
    this.saving = true;
    at("save").disabled = true;
    say("Saving …");
    const { rows } = this.book;
    try {
      const made = await this.source.save(this.book, this.stamp);
      this.stamp = made.names_stamp;
      this.book.markSaved(rows);
      clear();
      const more = made.files.length - 2;
      const older = (made.notes ?? []).filter((note) => note.startsWith("report.html"));
      const saved = more > 0 ? `Saved: names.csv, named.tif and ${more} files that go with them.`
        : `Saved: ${made.files.join(", ")}.`;
      say([saved, ...older].join(" "));
      this.about();
    } catch (fault) {
      warn(`Not saved: ${fault.message}`, this.source.gone ? "gone" : "save");
    } finally {
      this.saving = false;
      this.draw();
    }
  }

  // Ask now and then whether the server is there and the files are the same.
  async beat() {
    if (document.hidden || this.saving) return;
    try {
      const { names_stamp: stamp } = await this.source.state();
      if (stamp === this.stamp) clear("names");
      else {
        warn("names.csv was changed by something else since this page read it. Reload the page to "
          + "see these names; until then nothing can be saved here.", "names");
      }
    } catch {
      // What is wrong stands in the banner already.
    }
  }

  point(y, x) {
    const cell = this.grid.cellAt(y, x);
    const words = placeWords(this.grid.whereIs(y, x), this.grid.place.crs);
    if (cell) {
      const i = this.grid.number(cell.row, cell.col);
      const id = this.grid.ids[i];
      words.push(`row ${cell.row}, column ${cell.col}`);
      words.push(id === 0 ? (this.grid.partial ? "in no cluster" : "empty") : this.book.shown(this.book.root(id)));
      if (id !== 0) words.push(`distance ${number(this.grid.distances[i], 3)}`);
    }
    at("pointer").textContent = words.join("  ·  ");
  }

  help() {
    at("help-dialog").showModal();
    at("help-close").focus();
  }

  async about() {
    const home = at("about");
    const facts = make("dl", { class: "cell-facts" }, ...this.study.facts.map(([name, value]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, value))));
    const words = make("p", { class: "hint" }, this.source.about(this.study));
    home.replaceChildren(facts, words);
    if (!this.source.files) return;
    try {
      const files = await this.source.files();
      home.append(make("h5", {}, "Files of this result"), make("ul", { class: "files" },
        ...files.map((name) => make("li", {}, make("button", {
          type: "button", class: "link", onclick: () => this.download(name),
        }, name)))));
    } catch {
      // What is wrong stands in the banner already.
    }
  }

  async download(name) {
    try {
      const link = make("a", { href: await this.source.file(name), download: name.split("/").at(-1) });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    } catch (fault) {
      warn(fault.message);
    }
  }
}

export async function startPage(source) {
  try {
    const study = await source.study();
    const grid = new Grid(study, await source.cells());
    const page = new Page(source, study, grid);
    page.begin();
  } catch (fault) {
    warn(fault.message, source.gone ? "gone" : "fault");
  }
}
