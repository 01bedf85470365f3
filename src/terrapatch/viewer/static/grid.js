// Cells, pixels and places: all geometry of the page.

export class Grid {
  // `study` is what the server says of the result; `bytes` are ids, then distances.
  constructor(study, bytes) {
    [this.rows, this.cols] = study.grid.shape;
    this.stride = study.grid.stride;
    this.patch = study.grid.patch;
    this.size = study.size;
    this.place = study.place;
    // Whether the map holds one cluster that was looked into, and nothing of the others.
    this.partial = Boolean(study.partial);
    const count = this.rows * this.cols;
    this.ids = new Uint16Array(bytes.slice(0, 2 * count));
    this.distances = new Float32Array(bytes.slice(2 * count, 6 * count));
  }

  number(row, col) {
    return row * this.cols + col;
  }

  // The cell under a pixel of the scene, or null outside the scene.
  cellAt(y, x) {
    if (y < 0 || x < 0 || y >= this.size[0] || x >= this.size[1]) return null;
    return { row: Math.floor(y / this.stride[0]), col: Math.floor(x / this.stride[1]) };
  }

  // Upper, left, lower and right edge of a cell, in pixels of the scene.
  cellBox(row, col) {
    const [down, across] = this.stride;
    return [row * down, col * across, (row + 1) * down, (col + 1) * across];
  }

  patchBox(row, col) {
    const top = row * this.stride[0] - Math.floor((this.patch[0] - this.stride[0]) / 2);
    const left = col * this.stride[1] - Math.floor((this.patch[1] - this.stride[1]) / 2);
    return [top, left, top + this.patch[0], left + this.patch[1]];
  }

  // Map coordinates, longitude and latitude of a pixel; the latter between nodes of a table.
  whereIs(y, x) {
    const [a, b, c, d, e, f] = this.place.transform;
    const found = { x: a * x + b * y + c, y: d * x + e * y + f, lon: null, lat: null };
    const table = this.place.degrees;
    if (table) {
      const last = table.nodes - 1;
      const down = Math.min(Math.max((y / this.size[0]) * last, 0), last);
      const across = Math.min(Math.max((x / this.size[1]) * last, 0), last);
      const i = Math.min(Math.floor(down), last - 1);
      const j = Math.min(Math.floor(across), last - 1);
      const between = (values) => {
        const at = (r, s) => values[r * table.nodes + s];
        const upper = at(i, j) + (at(i, j + 1) - at(i, j)) * (across - j);
        const lower = at(i + 1, j) + (at(i + 1, j + 1) - at(i + 1, j)) * (across - j);
        return upper + (lower - upper) * (down - i);
      };
      found.lon = between(table.lon);
      found.lat = between(table.lat);
    }
    return found;
  }

  // Borders of the cells whose id is in the set, as straight lines [[y, x], [y, x]].
  outlines(wanted) {
    const inside = (r, c) =>
      r >= 0 && c >= 0 && r < this.rows && c < this.cols && wanted.has(this.ids[this.number(r, c)]);
    const [down, across] = this.stride;
    const lines = [];
    for (let r = 0; r <= this.rows; r++) {
      runs(this.cols, (c) => inside(r - 1, c) !== inside(r, c)).forEach(([from, to]) =>
        lines.push([[r * down, from * across], [r * down, to * across]]));
    }
    for (let c = 0; c <= this.cols; c++) {
      runs(this.rows, (r) => inside(r, c - 1) !== inside(r, c)).forEach(([from, to]) =>
        lines.push([[from * down, c * across], [to * down, c * across]]));
    }
    return lines;
  }
}

// Runs of places for which `holds` is true, as [start, stop].
function runs(count, holds) {
  const found = [];
  let start = -1;
  for (let i = 0; i <= count; i++) {
    const here = i < count && holds(i);
    if (here && start < 0) start = i;
    if (!here && start >= 0) {
      found.push([start, i]);
      start = -1;
    }
  }
  return found;
}

export function placeWords(found, crs) {
  const words = [];
  if (crs) {
    const metres = Math.abs(found.x) > 360 || Math.abs(found.y) > 360;
    const digits = metres ? 1 : 6;
    words.push(`${number(found.x, digits)}, ${number(found.y, digits)}`);
  } else {
    words.push(`x ${number(found.x, 1)}, y ${number(found.y, 1)}`);
  }
  if (found.lon !== null) {
    words.push(`${degrees(found.lat, "N", "S")}, ${degrees(found.lon, "E", "W")}`);
  }
  return words;
}

export function number(value, digits = 0) {
  return value.toLocaleString("en-GB", {
    minimumFractionDigits: digits, maximumFractionDigits: digits,
  });
}

function degrees(value, positive, negative) {
  return `${Math.abs(value).toFixed(5)}° ${value < 0 ? negative : positive}`;
}

export function share(part) {
  return `${(100 * part).toFixed(1)} %`;
}

export function hectares(value) {
  return value === null ? "" : `${number(value, value < 100 ? 1 : 0)} ha`;
}
