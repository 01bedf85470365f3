// Where a page that is served gets its data: from this machine's server, with the token.

import { clear, warn } from "./messages.js";

const GONE = "The server of this page is gone: terrapatch view was stopped, or this machine slept. "
  + "Start it again with the same folder. Changes that were not saved are still here: download "
  + "them, and hand the file to terrapatch name with --names.";
const NO_TOKEN = "This address has no token: open the one that terrapatch view printed, with all "
  + "that follows the #.";

export class LiveSource {
  constructor() {
    this.kind = "live";
    this.saves = "Save";
    this.token = location.hash.slice(1);
    this.pictures = new Map();
    this.gone = false;
  }

  // Ask the server; what it refuses becomes an Error with its sentence.
  async ask(path, options = {}) {
    if (!this.token) throw new Error(NO_TOKEN);
    let answer;
    try {
      const headers = { "X-Terrapatch-Token": this.token, ...options.headers };
      answer = await fetch(path, { ...options, headers, cache: "no-store" });
    } catch {
      this.gone = true;
      warn(GONE, "gone");
      throw new Error(GONE);
    }
    if (this.gone) {
      this.gone = false;
      clear("gone");
    }
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({ error: `the server failed (${answer.status})` }));
    const fault = new Error(told.error);
    if (told.stale) warn(told.error, "stale");
    throw fault;
  }

  async json(path) {
    return (await this.ask(path)).json();
  }

  about() {
    return "Save writes names.csv, the named map and its tables into the opened folder. The map of "
      + "raw clusters, clusters.tif, is never changed.";
  }

  study() {
    return this.json("/api/study");
  }

  async cells() {
    return (await this.ask("/api/cells")).arrayBuffer();
  }

  state() {
    return this.json("/api/state");
  }

  cluster(id) {
    return this.json(`/api/cluster/${id}`);
  }

  cell(row, col) {
    return this.json(`/api/cell/${row}/${col}`);
  }

  async similar(row, col) {
    return new Float32Array(await (await this.ask(`/api/similar/${row}/${col}`)).arrayBuffer());
  }

  // The address of a picture; the last 400 patches are kept.
  async picture(path) {
    return URL.createObjectURL(await (await this.ask(path)).blob());
  }

  patch(row, col) {
    const key = `${row}/${col}`;
    if (!this.pictures.has(key)) {
      const asked = this.picture(`/api/patch/${key}`);
      asked.catch(() => this.pictures.delete(key));
      this.pictures.set(key, asked);
      if (this.pictures.size > 400) {
        const [oldest, address] = this.pictures.entries().next().value;
        this.pictures.delete(oldest);
        address.then((url) => URL.revokeObjectURL(url), () => {});
      }
    }
    return this.pictures.get(key);
  }

  tile(zoom, x, y) {
    return this.picture(`/tiles/scene/${zoom}/${x}/${y}`);
  }

  async files() {
    return (await this.json("/api/files")).files;
  }

  async file(name) {
    return this.picture(`/files/${name.split("/").map(encodeURIComponent).join("/")}`);
  }

  async save(book, stamp) {
    const answer = await this.ask("/api/names", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ names: book.rows, names_stamp: stamp }),
    });
    return answer.json();
  }
}
