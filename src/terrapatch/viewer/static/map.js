// The map: imagery, colours of cells, outlines and the chosen cell, in pixels of the scene.

import { make } from "./messages.js";

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// An image overlay whose picture is a canvas of ours.
const CanvasOverlay = L.ImageOverlay.extend({
  initialize(canvas, bounds, options) {
    this._canvas = canvas;
    this._bounds = L.latLngBounds(bounds);
    L.setOptions(this, options);
  },
  _initImage() {
    this._image = this._canvas;
    L.DomUtil.addClass(this._image, "leaflet-image-layer cells");
    if (this._zoomAnimated) L.DomUtil.addClass(this._image, "leaflet-zoom-animated");
    this._image.onselectstart = L.Util.falseFn;
    this._image.onmousemove = L.Util.falseFn;
  },
});

// Tiles that are fetched with the token; those at the edge are smaller.
const SceneTiles = L.GridLayer.extend({
  createTile(coords, done) {
    const tile = make("div");
    this.options.source.tile(coords.z, coords.x, coords.y).then((address) => {
      const image = make("img", { alt: "" });
      image.onload = () => {
        image.style.width = `${(100 * image.naturalWidth) / this.options.side}%`;
        image.style.height = `${(100 * image.naturalHeight) / this.options.side}%`;
        URL.revokeObjectURL(address);
        done(null, tile);
      };
      image.onerror = () => done(new Error("a tile cannot be shown"), tile);
      image.src = address;
      tile.append(image);
    }, (fault) => done(fault, tile));
    return tile;
  },
});

export class SceneMap {
  constructor(study, grid, source, canvas) {
    this.grid = grid;
    const [height, width] = study.size;
    this.top = study.scene ? study.scene.top : Math.ceil(Math.log2(Math.max(height, width) / 256));
    this.map = L.map("map", {
      crs: this.crs(study.metres),
      attributionControl: false,
      zoomControl: true,
      zoomSnap: 0.25,
      zoomDelta: 1,
      wheelPxPerZoomLevel: 90,
      minZoom: -1,
      maxZoom: this.top + 4,
      zoomAnimation: !still(),
      fadeAnimation: !still(),
      inertia: !still(),
      maxBoundsViscosity: 0.6,
    });
    this.bounds = L.latLngBounds([-height, 0], [0, width]);
    this.map.setMaxBounds(this.bounds.pad(0.6));
    this.imagery = this.sceneLayer(study, source);
    if (this.imagery) this.imagery.addTo(this.map);
    const box = [[-grid.rows * grid.stride[0], 0], [0, grid.cols * grid.stride[1]]];
    this.cells = new CanvasOverlay(canvas, box, { opacity: 0.55 }).addTo(this.map);
    const drawing = L.canvas({ padding: 0.3 });
    const line = (options) => L.polyline([], { renderer: drawing, interactive: false, ...options });
    this.casing = line({ color: "#000", weight: 4, opacity: 0.7 }).addTo(this.map);
    this.outline = line({ color: "#fff", weight: 2 }).addTo(this.map);
    this.marks = L.layerGroup().addTo(this.map);
    if (study.metres) L.control.scale({ imperial: false, maxWidth: 140 }).addTo(this.map);
    this.fit();
    new ResizeObserver(() => this.map.invalidateSize({ animate: false }))
      .observe(this.map.getContainer());
  }

  crs(metres) {
    const { top } = this;
    return L.extend({}, L.CRS.Simple, {
      scale: (zoom) => 2 ** (zoom - top),
      zoom: (scale) => Math.log2(scale) + top,
      distance: (a, b) => {
        const [down, across] = metres || [1, 1];
        return Math.hypot((a.lat - b.lat) * down, (a.lng - b.lng) * across);
      },
    });
  }

  sceneLayer(study, source) {
    if (source.kind === "file") {
      const picture = source.scenePicture();
      return picture ? L.imageOverlay(picture, this.bounds, { alt: "The scene" }) : null;
    }
    if (!study.scene) return null;
    return new SceneTiles({
      source, side: study.scene.tile, tileSize: study.scene.tile, bounds: this.bounds,
      minNativeZoom: 0, maxNativeZoom: this.top, minZoom: -1, maxZoom: this.top + 4,
      keepBuffer: 1, updateWhenZooming: false,
    });
  }

  fit() {
    this.map.fitBounds(this.bounds, { padding: [12, 12], animate: false });
  }

  onCell(picked) {
    this.map.on("click", (event) => {
      const cell = this.grid.cellAt(-event.latlng.lat, event.latlng.lng);
      if (cell) picked(cell);
    });
  }

  // Told of tiles that cannot be read.
  onFault(told) {
    if (this.imagery) this.imagery.on("tileerror", (event) => told(event.error));
  }

  onPointer(moved) {
    this.map.on("mousemove", (event) => moved(-event.latlng.lat, event.latlng.lng));
  }

  middle() {
    const { lat, lng } = this.map.getCenter();
    return this.grid.cellAt(-lat, lng);
  }

  setOpacity(part) {
    this.cells.setOpacity(part);
  }

  showImagery(on) {
    if (!this.imagery) return;
    if (on) this.imagery.addTo(this.map);
    else this.imagery.remove();
  }

  drawOutlines(lines) {
    const places = lines.map((line) => line.map(([y, x]) => [-y, x]));
    this.casing.setLatLngs(places);
    this.outline.setLatLngs(places);
  }

  markCell(cell) {
    this.marks.clearLayers();
    if (!cell) return;
    const rectangle = ([top, left, bottom, right], options) =>
      L.rectangle([[-bottom, left], [-top, right]], { fill: false, interactive: false, ...options })
        .addTo(this.marks);
    const box = this.grid.cellBox(cell.row, cell.col);
    const patch = this.grid.patchBox(cell.row, cell.col);
    if (String(box) !== String(patch)) {
      rectangle(patch, { color: "#00f0ff", weight: 2, dashArray: "5 5" });
    }
    rectangle(box, { color: "#000", weight: 7, opacity: 0.8 });
    rectangle(box, { color: "#00f0ff", weight: 3 });
  }

  // Bring a cell into the middle, near enough to see it.
  fly(cell) {
    const [top, left, bottom, right] = this.grid.patchBox(cell.row, cell.col);
    const view = this.map.getSize();
    const near = Math.log2(Math.min(view.x, view.y) / (8 * Math.max(bottom - top, right - left)));
    const zoom = Math.max(this.map.getZoom(), Math.min(this.top + near, this.top + 2));
    const target = [-(top + bottom) / 2, (left + right) / 2];
    if (still()) this.map.setView(target, zoom, { animate: false });
    else this.map.flyTo(target, zoom, { duration: 0.6 });
  }
}
