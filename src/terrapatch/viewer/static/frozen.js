// Where the offline file gets its data: from itself.

import { download } from "./messages.js";

const base64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

export class FrozenSource {
  constructor(data) {
    this.kind = "file";
    this.saves = "Download names.csv";
    this.data = data;
    this.approximate = data.sketch.words;
    this.bytes = base64(data.cells).buffer;
    const sketch = base64(data.sketch.values);
    this.sketch = new Int8Array(sketch.buffer);
    this.image = null;
  }

  about(study) {
    return "This is one offline file: nothing is loaded and nothing is sent. Names and merges can "
      + "be tried here; the button at the top downloads them as names.csv, and the command "
      + `“${study.command}” makes the named map of them. Similarities are approximate here `
      + `(${this.approximate}), and patches come from a smaller picture of the scene.`;
  }

  async study() {
    return this.data.study;
  }

  async cells() {
    return this.bytes;
  }

  scenePicture() {
    return this.data.scene;
  }

  async cluster(id) {
    return { id, exemplars: this.data.exemplars[id] };
  }

  // Cosines with one cell, from the short descriptors in this file.
  scores(row, col) {
    const { width, scale } = this.data.sketch;
    const count = this.data.study.grid.shape[0] * this.data.study.grid.shape[1];
    const asked = row * this.data.study.grid.shape[1] + col;
    const ids = new Uint16Array(this.bytes.slice(0, 2 * count));
    const found = new Float32Array(count).fill(NaN);
    for (let i = 0; i < count; i++) {
      if (ids[i] === 0) continue;
      let sum = 0;
      for (let k = 0; k < width; k++) {
        sum += this.sketch[i * width + k] * this.sketch[asked * width + k];
      }
      found[i] = Math.min(1, sum * scale * scale);
    }
    if (ids[asked] !== 0) found[asked] = 1;
    return found;
  }

  async similar(row, col) {
    if (this.brief(row * this.data.study.grid.shape[1] + col).cluster === 0) {
      throw new Error(`the cell in row ${row}, column ${col} is in no cluster, so nothing can be `
        + "compared with it");
    }
    return this.scores(row, col);
  }

  brief(i) {
    const { grid } = this.data.study;
    const count = grid.shape[0] * grid.shape[1];
    const [row, col] = [Math.floor(i / grid.shape[1]), i % grid.shape[1]];
    const id = new Uint16Array(this.bytes.slice(2 * i, 2 * i + 2))[0];
    const at = 2 * count + 4 * i;
    const far = new Float32Array(this.bytes.slice(at, at + 4))[0];
    return { row, col, cluster: id, distance: Number.isNaN(far) ? null : far };
  }

  async cell(row, col) {
    const { grid, place } = this.data.study;
    const told = this.brief(row * grid.shape[1] + col);
    const [a, b, c, d, e, f] = place.transform;
    const [y, x] = [(row + 0.5) * grid.stride[0], (col + 0.5) * grid.stride[1]];
    Object.assign(told, { x: a * x + b * y + c, y: d * x + e * y + f, lon: null, lat: null });
    told.valid = 1;
    told.nearest = told.cluster === 0 ? [] : this.nearest(row, col);
    return told;
  }

  // The most similar cells whose patches overlap neither this one nor each other.
  nearest(row, col) {
    const { grid } = this.data.study;
    const reach = [0, 1].map((k) => Math.ceil(grid.patch[k] / grid.stride[k]));
    const scores = this.scores(row, col);
    const order = [...scores.keys()].filter((i) => !Number.isNaN(scores[i]));
    order.sort((i, j) => scores[j] - scores[i] || i - j);
    const taken = [[row, col]];
    const found = [];
    for (const i of order) {
      const [r, c] = [Math.floor(i / grid.shape[1]), i % grid.shape[1]];
      const free = ([y, x]) => Math.abs(r - y) >= reach[0] || Math.abs(c - x) >= reach[1];
      if (!taken.every(free)) continue;
      taken.push([r, c]);
      found.push({ ...this.brief(i), score: scores[i] });
      if (found.length === 8) break;
    }
    return found;
  }

  // A patch that stands in the file, or one cut out of the smaller picture of the scene.
  async patch(row, col) {
    const kept = this.data.patches[`${row}/${col}`];
    if (kept) return kept;
    if (!this.data.scene) throw new Error("this file holds no picture of the scene");
    if (!this.image) {
      this.image = new Image();
      this.image.src = this.data.scene;
    }
    await this.image.decode();
    const { grid, size } = this.data.study;
    const shrink = this.image.naturalWidth / size[1];
    const top = row * grid.stride[0] - Math.floor((grid.patch[0] - grid.stride[0]) / 2);
    const left = col * grid.stride[1] - Math.floor((grid.patch[1] - grid.stride[1]) / 2);
    const canvas = document.createElement("canvas");
    canvas.width = 160;
    canvas.height = 160;
    canvas.getContext("2d").drawImage(this.image, left * shrink, top * shrink,
      grid.patch[1] * shrink, grid.patch[0] * shrink, 0, 0, 160, 160);
    return canvas.toDataURL("image/jpeg", 0.9);
  }

  async save(book) {
    download("names.csv", book.csv());
    return { files: ["names.csv, in your downloads"], names_stamp: "" };
  }
}
