// The table of names with its history. Tables are never changed, only replaced.

export class NameBook {
  constructor(rows, clusters) {
    this.clusters = clusters;
    this.steps = [{ rows, what: "" }];
    this.at = 0;
    this.saved = this.text(rows);
  }

  get rows() {
    return this.steps[this.at].rows;
  }

  get dirty() {
    return this.text(this.rows) !== this.saved;
  }

  get canUndo() {
    return this.at > 0;
  }

  get canRedo() {
    return this.at < this.steps.length - 1;
  }

  text(rows) {
    return JSON.stringify(rows.map((r) => [r.id, r.name, r.colour, r.merge_into]));
  }

  row(id) {
    return this.rows[id - 1];
  }

  // The name a cluster is shown by.
  shown(id) {
    return this.row(id).name || `Cluster ${id}`;
  }

  // The cluster that one ends in after all merges.
  root(id) {
    let end = id;
    while (this.row(end).merge_into !== null) end = this.row(end).merge_into;
    return end;
  }

  // Clusters after merges, the largest first.
  groups() {
    const found = new Map();
    for (const { id } of this.rows) {
      if (this.root(id) !== id) continue;
      const { colour } = this.row(id);
      found.set(id, { id, name: this.shown(id), colour, named: Boolean(this.row(id).name),
        members: [], cells: 0, hectares: 0 });
    }
    for (const { id } of this.rows) {
      const group = found.get(this.root(id));
      const { cells, hectares: area } = this.clusters[id - 1];
      group.members.push(id);
      group.cells += cells;
      group.hectares = area === null ? null : group.hectares + area;
    }
    return [...found.values()].sort((a, b) => b.cells - a.cells || a.id - b.id);
  }

  group(id) {
    return this.groups().find((g) => g.id === this.root(id));
  }

  // Another cluster, not merged, that is shown by this name; or null.
  holder(name, id) {
    const other = this.groups().find((g) => g.id !== this.root(id) && g.name === name);
    return other ? other.id : null;
  }

  rename(id, name) {
    const was = this.shown(id);
    this.replace(id, { name }, `name ${was} ${name ? `“${name}”` : "nothing"}`);
  }

  recolour(id, colour) {
    this.replace(id, { colour }, `another colour for ${this.shown(id)}`);
  }

  merge(id, into) {
    this.replace(id, { merge_into: into }, `merge ${this.shown(id)} into ${this.shown(into)}`);
  }

  separate(id) {
    this.replace(id, { merge_into: null }, `separate ${this.shown(id)}`);
  }

  replace(id, change, what) {
    const rows = this.rows.map((r) => (r.id === id ? { ...r, ...change } : r));
    if (this.text(rows) === this.text(this.rows)) return;
    this.steps = [...this.steps.slice(0, this.at + 1), { rows, what }];
    this.at += 1;
  }

  undo() {
    if (!this.canUndo) return null;
    this.at -= 1;
    return this.steps[this.at + 1].what;
  }

  redo() {
    if (!this.canRedo) return null;
    this.at += 1;
    return this.steps[this.at].what;
  }

  markSaved(rows) {
    this.saved = this.text(rows);
  }

  csv() {
    const quoted = (v) => (/[",\n;]/.test(v) ? `"${v.replaceAll('"', '""')}"` : v);
    const lines = this.rows.map((r) =>
      [r.id, quoted(r.name), r.colour, r.merge_into ?? ""].join(","));
    return ["id,name,colour,merge_into", ...lines, ""].join("\n");
  }
}
