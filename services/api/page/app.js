// The live page. The present comes as events; the past is requested.

import { Refused, follow, json, token } from "./api.js";
import * as cards from "./cards.js";
import { agesChart, timeChart, words } from "./charts.js";
import { byId, html, setText, table } from "./dom.js";
import { BANDS, GENDERS, band, capital, count, plural } from "./format.js";
import { RANGES, sum, summed } from "./ranges.js";

const COUNTS_EVERY_MS = 15_000;
const LEFT_KEPT = 200;

const page = { state: null, left: new Map(), leftOf: null, sums: null, range: "day", camera: "", offsetS: 0 };
const nowS = () => Date.now() / 1000 + page.offsetS;
const ofCamera = (one) => !page.camera || one.camera_id === page.camera;
const manyCameras = () => !page.camera && (page.state?.cameras.length ?? 0) > 1;

/* ---- connection ---- */

const CONNECTIONS = {
  connecting: "connecting …",
  live: "live",
  away: "Redis is away",
  unreachable: "no connection",
  refused: "token needed",
};

function connection(state, title = "", text = "") {
  document.body.dataset.connection = state;
  setText(byId("connection-text"), CONNECTIONS[state]);
  byId("banner").hidden = !title;
  setText(byId("banner-title"), title);
  setText(byId("banner-text"), text);
}

let asking = null;

/** Asks for the token, once for all requests that need it. Resolves when the user has entered one. */
function askForToken(refusal) {
  connection("refused", "Token needed.", refusal.message);
  asking ??= new Promise((resolve) => {
    const wrong = Boolean(token.get());
    token.forget();
    setText(byId("token-text"), wrong ? `That was not the token. ${refusal.hint}` : `This page is protected. ${refusal.hint}`);
    byId("token").value = "";
    byId("token-dialog").showModal();
    byId("token-form").addEventListener(
      "submit",
      () => {
        token.set(byId("token").value.trim());
        asking = null;
        resolve();
      },
      { once: true },
    );
  });
  return asking;
}

async function explain(error) {
  if (error instanceof Refused && error.status === 401) await askForToken(error);
  else if (error instanceof Refused && error.status === 503) connection("away", "Not now.", `${error.message} Trying again.`);
  else if (error instanceof Refused) connection("unreachable", "The service refuses.", `${error.message} ${error.hint}`);
  else connection("unreachable", "The service does not answer.", "The data may be old. Trying again …");
}

/* ---- the present ---- */

function showState() {
  const { cameras, visits } = page.state;
  byId("no-camera").hidden = cameras.length > 0;
  listCameras(cameras);
  const attention = (camera) => Number(cards.needsAttention(camera, page.state.at_s));
  cards.cameras(cameras.filter(ofCamera).sort((a, b) => attention(b) - attention(a)), page.state.at_s);
  cards.present(visits.filter(ofCamera), manyCameras());
  showNets();
}

function listCameras(cameras) {
  const select = byId("camera");
  const ids = cameras.map((camera) => camera.camera_id);
  const listed = [...select.options].slice(1).map((option) => option.value);
  if (ids.join() === listed.join()) return;
  select.replaceChildren(select.options[0], ...ids.map((id) => html("option", { value: id }, id)));
  select.value = ids.includes(page.camera) ? page.camera : "";
  if (select.value !== page.camera) turnTo(select.value);
}

function showLeft(newcomer = null) {
  const none = page.leftOf === page.camera ? "No visit has ended yet." : "Loading …";
  cards.left([...page.left.values()].filter(ofCamera), manyCameras(), none, newcomer);
  showNets();
}

function showNets() {
  cards.nets([...(page.state?.visits ?? []), ...page.left.values()].filter(ofCamera));
}

function keepLeft(visits) {
  for (const visit of visits) {
    if (visit.closed && ofCamera(visit)) page.left.set(`${visit.camera_id}/${visit.track_id}`, visit);
  }
  const oldest = [...page.left.entries()].sort(([, a], [, b]) => b.last_seen_s - a.last_seen_s).slice(LEFT_KEPT);
  for (const [key] of oldest) page.left.delete(key);
}

/* ---- the past ---- */

function showCounts() {
  if (!page.sums) return;
  const { byColumn, byBand, total } = page.sums;
  const { label } = RANGES[page.range];
  const all = sum(total);
  cards.number("visits", all);
  setText(byId("visits-unit"), plural(all, "visit", "visits"));
  setText(byId("visits-range"), label);
  setText(byId("ages-range"), label.split(",")[0]);
  cards.split(byId("visits-split"), "visits", total);
  const busiest = byColumn.reduce((best, one) => (sum(one.visits) > sum(best.visits) ? one : best));
  setText(byId("busiest"), all ? `${busiest.name} (${count(sum(busiest.visits))})` : "–");
  const common = BANDS.reduce((best, one) => (sum(byBand[one]) > sum(byBand[best]) ? one : best));
  setText(byId("most-band"), all ? `${common === "unknown" ? "age unknown" : band(common)} (${count(sum(byBand[common]))})` : "–");
  draw();
  byId("time-table").replaceChildren(
    table("Visits over time", ["Time", ...GENDERS.map(capital)], byColumn.map((one) => [one.name, ...cells(one.visits)])),
  );
  byId("ages-table").replaceChildren(
    table("Age and gender", ["Age", ...GENDERS.map(capital)], BANDS.map((one) => [band(one), ...cells(byBand[one])])),
  );
}

const cells = (visits) => GENDERS.map((gender) => count(visits[gender]));

function draw() {
  if (!page.sums || byId("time-chart").clientWidth === 0) return;
  timeChart(byId("time-chart"), page.sums.byColumn, readOut);
  agesChart(byId("ages-chart"), page.sums.byBand);
  readOut(null);
}

function readOut(column) {
  const quiet = sum(page.sums.total) ? "Point at a bar, or use the arrow keys, to read its numbers." : "No visits in this time.";
  setText(byId("time-readout"), column ? `${column.name} — ${words(column.visits)}` : quiet);
}

let latest = 0;

async function refreshCounts() {
  const number = ++latest;
  const { by, columns } = RANGES[page.range];
  const shown = columns(nowS());
  const query = { by, since: shown[0].startS, until: shown.at(-1).endS };
  if (page.camera) query.camera = page.camera;
  try {
    const { counts } = await json("/v1/counts", query);
    if (number !== latest) return; // another range was chosen in the meantime
    page.sums = summed(shown, counts);
    showCounts();
    document.body.dataset.loaded = page.range;
  } catch (error) {
    await explain(error);
  }
}

let soon = null;
function refreshSoon() {
  soon ??= setTimeout(() => {
    soon = null;
    refreshCounts();
  }, 1_000);
}

/** Requests the chosen camera alone, because the latest visits of all cameras may all be at others. */
async function refreshLeft() {
  const { camera } = page;
  try {
    const { visits } = await json("/v1/visits", { limit: 100, ...(camera && { camera }) });
    if (camera !== page.camera) return; // another camera was chosen in the meantime
    for (const [key, one] of page.left) if (!ofCamera(one)) page.left.delete(key);
    keepLeft(visits);
    page.leftOf = camera;
    showLeft();
  } catch (error) {
    await explain(error);
  }
}

/* ---- events and controls ---- */

let present = "";

function heard(kind, data) {
  if (kind === "state") {
    page.state = data;
    page.offsetS = data.at_s - Date.now() / 1000;
    if (document.body.dataset.connection !== "live") {
      connection("live");
      refreshCounts();
      refreshLeft();
    }
    showState();
    const now = data.visits.map((one) => `${one.camera_id}/${one.track_id}/${one.gender}/${one.age_band}`).join();
    if (now !== present) refreshSoon(); // a visit began, or its age or gender changed
    present = now;
  } else if (kind === "visit") {
    keepLeft([data]);
    showLeft(data);
    refreshSoon();
  } else if (kind === "problem") {
    connection("away", "Redis is away.", `The data may be old. Trying again … (${data.detail.replace("Redis is away: ", "")})`);
  }
}

function turnTo(camera) {
  page.camera = camera;
  showLeft();
  refreshLeft();
  refreshCounts();
}

byId("camera").addEventListener("change", (event) => {
  turnTo(event.target.value);
  if (page.state) showState();
});
byId("range").addEventListener("change", (event) => {
  page.range = event.target.value;
  refreshCounts();
});
byId("token-dialog").addEventListener("close", () => {
  if (asking) byId("token-dialog").showModal(); // without a token there is nothing to show
});
new ResizeObserver(draw).observe(byId("time-chart"));
new ResizeObserver(draw).observe(byId("ages-chart"));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refreshCounts();
});
setInterval(() => {
  if (document.body.dataset.connection === "live" && !document.hidden) refreshCounts();
}, COUNTS_EVERY_MS);

follow({ heard, opened: () => {}, lost: explain });
