// Numbers, times and people as words.

export const GENDERS = ["female", "male", "unknown"];
export const BANDS = ["70+", "60-69", "50-59", "40-49", "30-39", "20-29", "10-19", "0-9", "unknown"];

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const count = (number) => whole.format(number);
export const rate = (number) => tenth.format(number);
export const plural = (number, one, many) => (number === 1 ? one : many);
export const percent = (part, all) => (all ? `${whole.format((100 * part) / all)} %` : "–");
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
export const band = (name) => name.replace("-", "–");

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString(undefined, { hour: "numeric", minute: "2-digit" });
}

/** "9 AM" or "09": the hour alone, where it is a whole one. */
export function hour(seconds) {
  const moment = new Date(seconds * 1000);
  return moment.getMinutes() ? clock(seconds) : moment.toLocaleTimeString(undefined, { hour: "numeric" });
}

/** "+05:30": what the clock of this place is ahead of UTC. */
export function offset(seconds) {
  const minutes = -new Date(seconds * 1000).getTimezoneOffset();
  const two = (number) => String(Math.trunc(Math.abs(number))).padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`;
}

export function weekday(seconds) {
  return new Date(seconds * 1000).toLocaleDateString(undefined, { weekday: "short", day: "numeric" });
}

/** "14 s", "2 min 10 s", "1 h 5 min". */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 600) return s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s / 60} min`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  const minutes = Math.round(s / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${whole.format(minutes / 1440)} d`;
}

/** "0.4 s", or "320 ms" where it is short. */
export function delay(seconds) {
  if (seconds < 0) return "camera’s clock is ahead";
  return seconds < 1 ? `${whole.format(seconds * 1000)} ms` : `${tenth.format(seconds)} s`;
}

const WHY_NOT = { "too-small": "not classified: face too small", "too-blurred": "not classified: face too blurred", "not-yet": "not classified yet" };

/** "female, 34 (27–41)": gender, age and the range of the age; "unsure" where too few frames were processed. */
export function described(visit) {
  const text = face(visit);
  return visit.is_unsure ? `${text}, unsure: ${rate(visit.frame_rate_hz)} frames a second` : text;
}

function face(visit) {
  if (visit.age_years === null) return WHY_NOT[visit.unclassified];
  const range = visit.age_interval_years;
  const age = Math.floor(visit.age_years);
  const within = range ? ` (${Math.floor(range[0])}–${Math.ceil(range[1])})` : "";
  return `${visit.gender === "unknown" ? "gender unknown" : visit.gender}, ${age}${within}`;
}
