// Colours of cells on a small canvas, one pixel a cell, and the scale of colours beside it.

const SCALE = [
  [13, 8, 135], [84, 2, 163], [139, 10, 165], [185, 50, 137], [219, 92, 104], [244, 136, 73],
  [254, 188, 43], [240, 249, 33],
];

export function rgbOf(colour) {
  return [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
}

function onScale(part) {
  const place = Math.min(Math.max(part, 0), 1) * (SCALE.length - 1);
  const i = Math.min(Math.floor(place), SCALE.length - 2);
  return SCALE[i].map((low, k) => Math.round(low + (SCALE[i + 1][k] - low) * (place - i)));
}

export function paintClusters(canvas, grid, book, chosen) {
  const colours = book.rows.map((r) => rgbOf(book.row(book.root(r.id)).colour));
  const roots = book.rows.map((r) => book.root(r.id));
  const root = chosen === null ? null : book.root(chosen);
  fillCells(canvas, grid, (i) => {
    const id = grid.ids[i];
    if (id === 0) return null;
    return [...colours[id - 1], root === null || roots[id - 1] === root ? 255 : 115];
  });
}

export function paintValues(canvas, grid, values, low, high) {
  fillCells(canvas, grid, (i) => {
    if (Number.isNaN(values[i])) return null;
    return [...onScale((values[i] - low) / (high - low || 1)), 255];
  });
}

function fillCells(canvas, grid, colourOf) {
  canvas.width = grid.cols;
  canvas.height = grid.rows;
  const picture = new ImageData(grid.cols, grid.rows);
  for (let i = 0; i < grid.rows * grid.cols; i++) {
    const rgba = colourOf(i);
    if (rgba) picture.data.set(rgba, 4 * i);
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

export function paintScale(canvas) {
  const drawing = canvas.getContext("2d");
  for (let i = 0; i < canvas.width; i++) {
    drawing.fillStyle = `rgb(${onScale(i / (canvas.width - 1)).join(",")})`;
    drawing.fillRect(i, 0, 1, 1);
  }
}

// Smallest and largest of the values, the far ends left out, so that one odd cell does not count.
export function spreadOf(values) {
  const known = Float32Array.from(values.filter((v) => !Number.isNaN(v))).sort();
  if (!known.length) return [0, 1];
  const at = (part) => known[Math.min(known.length - 1, Math.floor(part * known.length))];
  return [at(0.01), at(0.995)];
}
