// The time ranges of the charts, and the counts of the API sorted into their columns.

import { BANDS, GENDERS, clock, hour, offset, weekday } from "./format.js";

const HOUR_S = 3600;

/** Each requests counts by `by`. A week is requested by hours, so that its days begin at local midnight, not in UTC. */
export const RANGES = {
  hour: { by: "minute", label: "last hour, by minute", columns: (now) => even(now, 60, 60) },
  day: { by: "hour", label: "last 24 hours, by hour", columns: (now) => even(now, HOUR_S, 24) },
  week: { by: "hour", label: "last 7 days, by day", columns: (now) => days(now, 7) },
};

/** Around the beginning and the end of summer time, the names tell the offset: one hour comes twice. */
function even(nowS, lengthS, number) {
  const last = Math.floor(nowS / lengthS) * lengthS;
  const isTold = offset(last) !== offset(last - (number - 1) * lengthS);
  return Array.from({ length: number }, (_, place) => {
    const startS = last - (number - 1 - place) * lengthS;
    const endS = startS + lengthS;
    const zone = isTold ? ` ${offset(startS)}` : "";
    if (lengthS < HOUR_S) return { startS, endS, label: clock(startS), name: clock(startS) + zone };
    return { startS, endS, label: hour(startS), name: `${hour(startS)}–${hour(endS)}${zone}` };
  });
}

function days(nowS, number) {
  const midnight = (ago) => {
    const day = new Date(nowS * 1000);
    day.setHours(0, 0, 0, 0);
    day.setDate(day.getDate() - ago);
    return day.getTime() / 1000;
  };
  return Array.from({ length: number }, (_, place) => {
    const startS = midnight(number - 1 - place);
    return { startS, endS: midnight(number - 2 - place), label: weekday(startS), name: weekday(startS) };
  });
}

const none = () => Object.fromEntries(GENDERS.map((gender) => [gender, 0]));
export const sum = (byGender) => GENDERS.reduce((total, gender) => total + byGender[gender], 0);

/** Sums of the cells: by column and gender, by age band and gender, and by gender. */
export function summed(columns, cells) {
  const byColumn = columns.map((column) => ({ ...column, visits: none() }));
  const byBand = Object.fromEntries(BANDS.map((band) => [band, none()]));
  const total = none();
  for (const cell of cells) {
    const column = byColumn.find((one) => one.startS <= cell.start_s && cell.start_s < one.endS);
    if (!column) continue;
    column.visits[cell.gender] += cell.visits;
    byBand[cell.age_band][cell.gender] += cell.visits;
    total[cell.gender] += cell.visits;
  }
  return { byColumn, byBand, total };
}
