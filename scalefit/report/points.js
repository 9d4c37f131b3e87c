// Figures that answer: the run under the pointer or chosen by arrow keys, its values, groups on and off, a table.
// The static figure and its words stay as they are; without this script the page is the static one. The file has no
// "less than" and no ampersand, so that the page can be read as XML as well.
"use strict";

for (const figure of document.querySelectorAll("figure.figure")) {
  const data = figure.querySelector("script[type='application/json']");
  if (data) answering(figure, JSON.parse(data.textContent));
}

function answering(figure, table) {
  const svg = figure.querySelector("svg"), box = figure.querySelector(".scroll");
  const markers = [...svg.querySelectorAll("[data-row]")];
  const off = new Set();
  const tip = made("p", "tip", figure);
  tip.setAttribute("role", "status");
  const hidden = (marker) => off.has(table.levels[marker.dataset.row]);
  const place = (marker) => {
    const own = marker.getBoundingClientRect();
    return [own.left + own.width / 2, own.top + own.height / 2];
  };

  function show(marker) {
    for (const one of markers) one.classList.toggle("on", marker ? one.dataset.row === marker.dataset.row : false);
    tip.classList.toggle("shown", Boolean(marker));
    if (!marker) return;
    const row = table.rows[marker.dataset.row];
    tip.textContent = table.columns.map((name, i) => name.replaceAll("_", " ") + " " + row[i]).join(", ");
    const around = figure.getBoundingClientRect(), [x, y] = place(marker);
    const most = around.width - tip.offsetWidth;
    tip.style.left = Math.max(0, Math.min(x - around.left + 12, most)) + "px";
    tip.style.top = y - around.top + 14 + "px";
  }

  function nearest(x, y) {
    let found = null, least = 14;
    for (const marker of markers) {
      if (hidden(marker)) continue;
      const [left, top] = place(marker), distance = Math.hypot(left - x, top - y);
      if (least > distance) [found, least] = [marker, distance];
    }
    return found;
  }

  svg.addEventListener("pointermove", (event) => show(nearest(event.clientX, event.clientY)));
  svg.addEventListener("pointerdown", (event) => show(nearest(event.clientX, event.clientY)));
  svg.addEventListener("pointerleave", () => show(null));
  box.addEventListener("blur", () => show(null));

  // With the keyboard: the points of the figure from left to right, panel by panel.
  let order = null, at = -1;
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") show(null);
    if (step === undefined) return;
    event.preventDefault();
    order = order || markers.toSorted((a, b) => place(a)[0] - place(b)[0]);
    const shown = order.filter((marker) => !hidden(marker));
    at = Math.max(0, Math.min(at + step, shown.length - 1));
    if (shown[at]) {
      const [x] = place(shown[at]), around = box.getBoundingClientRect();
      if (x > around.right || around.left > x) box.scrollLeft += x - around.left - around.width / 2;
      show(shown[at]);
    }
  });

  const tools = made("div", "tools", figure);
  const levels = [...new Set(table.levels)].sort();
  for (const level of levels) {
    const button = made("button", "", tools);
    button.type = "button";
    button.textContent = table.group.replaceAll("_", " ") + " " + level;
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      off.has(level) ? off.delete(level) : off.add(level);
      button.setAttribute("aria-pressed", String(!off.has(level)));
      for (const marker of markers) marker.classList.toggle("off", hidden(marker));
      show(null);
    });
  }

  const details = made("details", "values", figure);
  made("summary", "", details).textContent = "Values of the " + table.rows.length + " rows";
  details.addEventListener("toggle", () => {
    if (details.querySelector("table")) return;
    const scroll = made("div", "scroll", details), whole = made("table", "", scroll);
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "Values of the rows");
    const head = made("tr", "", made("thead", "", whole)), body = made("tbody", "", whole);
    for (const name of table.columns) {
      const cell = made("th", "", head);
      cell.scope = "col";
      cell.textContent = name.replaceAll("_", " ");
    }
    for (const row of table.rows) {
      const line = made("tr", "", body);
      for (const text of row) made("td", "", line).textContent = text;
    }
  });
}

function made(tag, name, parent) {
  const element = document.createElement(tag);
  element.className = name;
  parent.append(element);
  return element;
}
