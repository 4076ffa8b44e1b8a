// The two charts, drawn as SVG in the size of their element.

import { BANDS, GENDERS, band, count, plural } from "./format.js";
import { svg } from "./dom.js";
import { sum } from "./ranges.js";

const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);

/** The lines of a scale: about four whole numbers. */
export function ticks(most) {
  if (most <= 0) return [0, 1];
  const rough = most / 4;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 2.5, 5, 10].map((one) => one * size).find((one) => one >= rough));
  const whole = Math.ceil(step);
  return Array.from({ length: Math.ceil(most / whole) + 1 }, (_, place) => place * whole);
}

export function words(visits) {
  const all = sum(visits);
  const parts = GENDERS.filter((gender) => visits[gender]).map((gender) => `${count(visits[gender])} ${gender}`);
  return `${count(all)} ${plural(all, "visit", "visits")}${parts.length ? `: ${parts.join(", ")}` : ""}`;
}

/** Stacked bars, one for each column of time. `chosen(column)` gets the column under the pointer. */
export function timeChart(place, columns, chosen) {
  const unit = rem();
  const width = place.clientWidth;
  const height = place.clientHeight;
  const marks = ticks(Math.max(...columns.map((column) => sum(column.visits))));
  const top = unit * 0.6;
  const left = unit * (0.9 + 0.62 * count(marks.at(-1)).length);
  const bottom = height - unit * 1.8;
  const y = (visits) => bottom - ((bottom - top) * visits) / marks.at(-1);
  const slot = (width - left) / columns.length;
  const gap = Math.min(slot * 0.25, unit * 0.5);

  const lines = marks.map((mark) =>
    svg(
      "g",
      {},
      svg("line", { class: "grid", x1: left, x2: width, y1: y(mark), y2: y(mark) }),
      svg("text", { class: "tick", x: left - unit * 0.5, y: y(mark), "text-anchor": "end", dy: "0.35em" }, count(mark)),
    ),
  );
  const longest = Math.max(...columns.map((column) => column.label.length));
  const wide = longest * 0.62 * unit;
  // If the last column is narrower than its label, the label ends at the edge and needs more room beside it.
  const every = Math.max(1, Math.ceil(((slot < wide ? 1.5 : 1) * wide + unit * 0.6) / slot));
  const bars = columns.map((column, index) => {
    let base = 0;
    const x = left + index * slot;
    const group = svg("g", { class: "column", "data-start": column.startS, "data-visits": sum(column.visits) });
    group.append(svg("rect", { class: "hit", x, y: top, width: slot, height: bottom - top }));
    for (const gender of GENDERS) {
      const visits = column.visits[gender];
      if (!visits) continue;
      const [low, high] = [y(base), y(base + visits)];
      group.append(
        svg("rect", { class: `fill-${gender}`, x: x + gap / 2, y: high, width: slot - gap, height: Math.max(0, low - high - 1), rx: Math.min(2, slot / 8) }),
      );
      base += visits;
    }
    // Counted from the right: the newest column always has its label.
    if ((columns.length - 1 - index) % every === 0 && x + slot / 2 > wide / 2) {
      const last = index === columns.length - 1 && slot < wide;
      group.append(
        svg(
          "text",
          { class: "tick", x: last ? x + slot : x + slot / 2, y: height - unit * 0.5, "text-anchor": last ? "end" : "middle" },
          column.label,
        ),
      );
    }
    return group;
  });

  const drawing = svg(
    "svg",
    {
      width, height, viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "img",
      "aria-label": "Visits over time. Left and right arrow keys read out the columns.",
    },
    ...lines,
    ...bars,
  );
  let at = null;
  const choose = (index) => {
    bars[at]?.classList.remove("chosen");
    at = index;
    bars[at]?.classList.add("chosen");
    chosen(at === null ? null : columns[at]);
  };
  bars.forEach((bar, index) => bar.addEventListener("pointerenter", () => choose(index)));
  drawing.addEventListener("pointerleave", () => choose(null));
  drawing.addEventListener("blur", () => choose(null));
  drawing.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    choose(Math.min(columns.length - 1, Math.max(0, (at ?? columns.length) + step)));
  });
  place.replaceChildren(drawing);
}

/** A pyramid: female to the left, male to the right, and those of unknown gender apart. */
export function agesChart(place, byBand) {
  const unit = rem();
  const width = place.clientWidth;
  const height = place.clientHeight;
  const largest = (...genders) => Math.max(1, ...BANDS.flatMap((name) => genders.map((gender) => byBand[name][gender])));
  const most = largest(...GENDERS);
  const digits = unit * (0.6 + 0.6 * count(most).length);
  const middle = unit * 4.6;
  const aside = Math.max(digits + unit * 2.5, width * 0.2);
  const reach = (width - middle - aside) / 2 - digits;
  const head = unit * 1.7;
  // One scale for all three, so that lengths can be compared.
  const scale = Math.min(reach / largest("female", "male"), (aside - digits - unit * 0.8) / largest("unknown"));
  const row = (height - head) / BANDS.length;
  const axis = digits + reach;
  const places = {
    female: { x: (length) => axis - length, text: (length) => axis - length - unit * 0.3, anchor: "end", head: axis },
    male: { x: () => axis + middle, text: (length) => axis + middle + length + unit * 0.3, anchor: "start", head: axis + middle },
    unknown: { x: () => width - aside + unit * 0.8, text: (length) => width - aside + length + unit * 1.1, anchor: "start", head: width, headAnchor: "end" },
  };
  const heads = GENDERS.map((gender) =>
    svg("text", { class: "head", x: places[gender].head, y: unit * 0.9, "text-anchor": places[gender].headAnchor ?? places[gender].anchor }, gender),
  );
  const rows = BANDS.map((name, index) => {
    const centre = head + row * (index + 0.5);
    const thick = Math.min(row * 0.72, unit * 2);
    const bars = GENDERS.flatMap((gender) => {
      const visits = byBand[name][gender];
      const length = Math.max(0, scale * visits);
      const { x, text, anchor } = places[gender];
      return [
        svg("rect", { class: `fill-${gender}`, x: x(length), y: centre - thick / 2, width: length, height: thick, rx: 2 }),
        // Visits of unknown age are not classified, so they have no gender either.
        name === "unknown" && !visits ? null : svg("text", { class: visits ? "value" : "value quiet", x: text(length), y: centre, dy: "0.35em", "text-anchor": anchor }, count(visits)),
      ];
    });
    const label = svg("text", { class: "tick", x: axis + middle / 2, y: centre, dy: "0.35em", "text-anchor": "middle" }, band(name));
    return svg("g", { "data-band": name, "data-visits": sum(byBand[name]) }, label, ...bars.filter(Boolean));
  });
  const text = BANDS.filter((name) => sum(byBand[name])).map((name) => `${band(name)}: ${words(byBand[name])}`);
  place.replaceChildren(
    svg(
      "svg",
      { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Age and gender. ${text.join(". ") || "No visits."}` },
      ...heads,
      ...rows,
    ),
  );
}
