// The numbers, lists and cameras of the page.

import { byId, html, setText } from "./dom.js";
import { GENDERS, capital, clock, count, delay, described, duration, percent, plural, rate } from "./format.js";
import { picture } from "./api.js";
import { sum } from "./ranges.js";

const LEFT_SHOWN = 12;

export function number(name, value) {
  for (const element of document.querySelectorAll(`[data-number="${name}"]`)) setText(element, count(value));
}

/** A bar of three parts with its numbers: `name-female`, `name-male` and `name-unknown` are the hooks. */
export function split(place, name, byGender) {
  const all = sum(byGender);
  if (!place.children.length) {
    place.before(
      html("div", { class: "share", "aria-hidden": "true" }, ...GENDERS.map((gender) => html("i", { class: `fill-${gender}` }))),
    );
    place.append(
      ...GENDERS.map((gender) =>
        html(
          "li",
          { class: gender },
          html("span", { class: `swatch fill-${gender}`, "aria-hidden": "true" }),
          html("b", { "data-number": `${name}-${gender}` }),
          ` ${gender} `,
          html("span", { class: "quiet", "data-share": gender }),
        ),
      ),
    );
  }
  for (const gender of GENDERS) {
    number(`${name}-${gender}`, byGender[gender]);
    const item = place.querySelector(`.${gender}`);
    const part = place.previousElementSibling.querySelector(`.fill-${gender}`);
    part.style.flexGrow = byGender[gender];
    part.hidden = !byGender[gender];
    setText(item.querySelector("[data-share]"), all ? percent(byGender[gender], all) : "");
  }
}

export function byGender(visits) {
  const found = Object.fromEntries(GENDERS.map((gender) => [gender, 0]));
  for (const visit of visits) found[visit.gender] += 1;
  return found;
}

const key = (visit) => `${visit.camera_id}/${visit.track_id}`;

function visitItem(visit, showCamera, when) {
  return html(
    "li",
    { "data-visit": key(visit), "data-gender": visit.gender },
    html("span", { class: `swatch fill-${visit.gender}`, "aria-hidden": "true" }),
    html("span", { class: "description" }, capital(described(visit))),
    html("span", { class: "quiet where" }, [showCamera ? visit.camera_id : null, when].filter(Boolean).join(" · ")),
  );
}

function listed(place, visits, none, item) {
  if (!visits.length) place.replaceChildren(html("li", { class: "none quiet" }, none));
  else place.replaceChildren(...visits.map(item));
}

export function present(visits, showCamera) {
  number("present", visits.length);
  setText(byId("present-unit"), plural(visits.length, "person", "people"));
  split(byId("present-split"), "present", byGender(visits));
  listed(byId("present-people"), visits, "No one at the moment.", (visit) =>
    visitItem(visit, showCamera, `for ${duration(visit.dwell_s)}`),
  );
}

/** The visits that ended last; `newcomer` has ended just now. */
export function left(visits, showCamera, none, newcomer) {
  const shown = [...visits].sort((a, b) => b.last_seen_s - a.last_seen_s).slice(0, LEFT_SHOWN);
  listed(byId("left-people"), shown, none, (visit) => {
    const item = visitItem(visit, showCamera, `${clock(visit.last_seen_s)} · ${duration(visit.dwell_s)}`);
    if (newcomer && key(visit) === key(newcomer)) item.classList.add("new");
    return item;
  });
}

/** Which packs of nets classified these visits. */
export function nets(visits) {
  const names = [...new Set(visits.map((visit) => visit.nets).filter(Boolean))].sort();
  setText(byId("nets"), names.length ? `Nets: ${names.join(", ")}.` : "");
}

const pictures = new Map();

const FACTS = { present: "There now", rate: "Frames", delay: "Delay" };

function cameraItem(camera) {
  return html(
    "li",
    { "data-camera": camera.camera_id },
    html("div", { class: "preview" }),
    html(
      "div",
      { class: "about" },
      html("h3", {}, html("span", { class: "dot", "aria-hidden": "true" }), camera.camera_id),
      html("p", { class: "state" }),
      html("dl", { class: "facts" }, ...Object.entries(FACTS).map(([name, label]) =>
        html("div", {}, html("dt", {}, label), html("dd", { "data-fact": name })),
      )),
    ),
  );
}

/** The cameras as they are at `nowS`, by the clock of the store. */
export function cameras(list, nowS) {
  const place = byId("cameras");
  const items = new Map([...place.children].map((item) => [item.dataset.camera, item]));
  const wanted = list.map((camera) => items.get(camera.camera_id) ?? cameraItem(camera));
  if (wanted.length !== place.children.length || wanted.some((item, index) => item !== place.children[index])) {
    place.replaceChildren(...wanted);
  }
  list.forEach((camera, index) => fill(wanted[index], camera, nowS));
}

function fill(item, camera, nowS) {
  const live = camera.state === "live";
  item.dataset.state = live && camera.is_overloaded ? "overloaded" : needsAttention(camera, nowS) || live ? camera.state : "stopped";
  setText(item.querySelector(".state"), stateText(camera, nowS));
  const facts = {
    present: `${count(camera.present)} ${plural(camera.present, "person", "people")}`,
    rate: live && camera.frame_rate_hz !== null ? `${rate(camera.frame_rate_hz)} a second` : "–",
    delay: live ? delay(camera.delay_s) : "–",
  };
  for (const [name, text] of Object.entries(facts)) setText(item.querySelector(`[data-fact="${name}"]`), text);
  showPreview(item.querySelector(".preview"), camera);
}

const LONG_SILENT_S = 3_600;

/** A camera that fails, or that fell silent within the last hour. An older one was most likely switched off. */
export function needsAttention(camera, nowS) {
  return camera.state === "failing" || (camera.state === "silent" && nowS - camera.since_s < LONG_SILENT_S);
}

/** "live", "silent since 14:03 (12 min)", "failing since 14:03 (12 min): login — the password is wrong". */
function stateText(camera, nowS) {
  if (camera.state === "live") return working(camera);
  const since = `${camera.state} since ${clock(camera.since_s)} (${duration(nowS - camera.since_s)})`;
  const why = [camera.reason, camera.detail].filter(Boolean).join(" — ");
  return why ? `${since}: ${why}` : since;
}

/** "live", or "overloaded: 1.4 of 5.0 frames a second". */
function working(camera) {
  if (!camera.is_overloaded) return "live";
  return `overloaded: ${rate(camera.frame_rate_hz)} of ${rate(camera.captured_rate_hz)} frames a second`;
}

async function showPreview(place, camera) {
  if (!camera.has_preview) {
    place.replaceChildren();
    return;
  }
  if (document.hidden || pictures.get(camera.camera_id)) return;
  pictures.set(camera.camera_id, true);
  try {
    const address = URL.createObjectURL(await picture(`/v1/cameras/${camera.camera_id}/preview.jpg`));
    const image = place.querySelector("img") ?? html("img", { alt: `Scene of camera ${camera.camera_id}` });
    const before = image.src;
    image.src = address;
    if (!image.isConnected) place.replaceChildren(image);
    if (before) URL.revokeObjectURL(before);
  } catch {
    place.replaceChildren(); // previews are off or the camera is silent; the next state shows which
  } finally {
    setTimeout(() => pictures.delete(camera.camera_id), 1_000);
  }
}
