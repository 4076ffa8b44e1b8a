// Makes elements. Text is set as text, so that no data can become markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function html(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets the text if it differs, so that screen readers announce only changes. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function table(caption, heads, rows) {
  return html(
    "table",
    {},
    html("caption", { class: "hidden" }, caption),
    html("thead", {}, html("tr", {}, ...heads.map((head) => html("th", { scope: "col" }, head)))),
    html(
      "tbody",
      {},
      ...rows.map(([first, ...rest]) =>
        html("tr", {}, html("th", { scope: "row" }, first), ...rest.map((cell) => html("td", {}, cell))),
      ),
    ),
  );
}
