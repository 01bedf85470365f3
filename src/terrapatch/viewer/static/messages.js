// What the page says: by the way at the edge of the map, or as a banner when something is wrong.

const element = (id) => document.getElementById(id);
let fading = 0;

export function say(text) {
  const toast = element("toast");
  toast.textContent = text;
  toast.classList.add("on");
  clearTimeout(fading);
  fading = setTimeout(() => toast.classList.remove("on"), 7000);
}

// A banner stays until it is closed or `clear` is called with its kind.
export function warn(text, kind = "fault") {
  const banner = element("banner");
  banner.dataset.kind = kind;
  banner.hidden = false;
  element("banner-keep").hidden = kind !== "gone";
  if (element("banner-text").textContent !== text) element("banner-text").textContent = text;
}

export function clear(kind) {
  const banner = element("banner");
  if (kind && banner.dataset.kind !== kind) return;
  banner.hidden = true;
  element("banner-text").textContent = "";
}

// Give a person a text as a file.
export function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// Make an element: `make("button", {class: "x", onclick: f}, "text", child)`.
export function make(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(options)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "colour") made.style.background = value;
    else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
