// Reads the API: JSON, pictures and events, with a token if one is needed.

const KEY = "agegender-token";
const LONGEST_WAIT_MS = 10_000;

/** An error answer; `problem` is its JSON. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `The service answered with status ${status}.`);
    this.status = status;
    this.hint = problem.hint ?? "";
  }
}

/** The service does not answer at all. */
export class Unreachable extends Error {}

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

async function ask(path, { signal, headers = {} } = {}) {
  const secret = token.get();
  // In a header, never in the address: addresses end up in logs and histories.
  if (secret) headers.Authorization = `Bearer ${secret}`;
  let answer;
  try {
    answer = await fetch(path, { headers, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("The service does not answer.");
  }
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

export async function json(path, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  return (await ask(query ? `${path}?${query}` : path)).json();
}

export async function picture(path) {
  return (await ask(path)).blob();
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Follows /v1/events for ever. `heard(kind, data)` gets each event. `lost(error)` gets each end of the connection,
 * and may return a promise, which is awaited before the next try.
 */
export async function follow({ heard, opened, lost }) {
  let lastId = null;
  let waitMs = 1_000;
  for (;;) {
    try {
      const answer = await ask("/v1/events", { headers: lastId ? { "Last-Event-ID": lastId } : {} });
      opened();
      waitMs = 1_000;
      for await (const event of events(answer.body)) {
        lastId = event.id ?? lastId;
        if (event.data) heard(event.kind, JSON.parse(event.data));
      }
      throw new Unreachable("The service has ended.");
    } catch (error) {
      await lost(error);
    }
    await pause(waitMs);
    waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const parts = text.split("\n\n");
      text = parts.pop();
      for (const part of parts) yield parsed(part);
    }
  } catch {
    throw new Unreachable("The connection was lost.");
  }
}

function parsed(part) {
  const event = { kind: "message", data: "" };
  for (const line of part.split("\n")) {
    if (line.startsWith("event: ")) event.kind = line.slice(7);
    else if (line.startsWith("data: ")) event.data += line.slice(6);
    else if (line.startsWith("id: ")) event.id = line.slice(4);
  }
  return event;
}
