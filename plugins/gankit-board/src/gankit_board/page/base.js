// What every part of the page uses: elements, asking the server, words for numbers.
import { h } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import htm from "htm";

export const html = htm.bind(h);

const EVERY = 1000; // ms between two questions, while somebody looks
const SOON = 200; // and where the answer has said that there is more
const PATIENCE = 15000; // ms that an answer may take

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function checked(answer) {
  if (answer.ok) return answer;
  const text = await answer.text();
  let said = text.trim();
  try {
    said = JSON.parse(text).error ?? said;
  } catch {} // it is plain text
  throw new Refused(answer.status, said || `the board answered ${answer.status}`);
}

export async function get(path, asked = {}, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(asked)) {
    if (value === null || value === undefined) continue;
    for (const one of [value].flat()) query.append(name, one);
  }
  const limit = AbortSignal.timeout(PATIENCE);
  const either = signal ? AbortSignal.any([signal, limit]) : limit;
  const answer = await fetch(`${path}?${query}`, { signal: either });
  return (await checked(answer)).json();
}

export async function post(path, told, signal) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(told);
  return checked(await fetch(path, { method: "POST", headers, body, signal }));
}

// Whether the last question was answered; the head of the page shows it.
const listeners = new Set();
let reached = true;
function note(now) {
  if (now === reached) return;
  reached = now;
  for (const tell of listeners) tell(now);
}
export function useReached() {
  const [now, set] = useState(reached);
  useEffect(() => {
    listeners.add(set);
    return () => listeners.delete(set);
  }, []);
  return now;
}

// Ask again and again, while the page is seen; `ask` is given what it gave last.
export function usePolled(ask, keys, more = () => false) {
  const [state, set] = useState({});
  const last = useRef(null);
  useEffect(() => {
    let timer = 0;
    const over = new AbortController();
    last.current = null;
    set((before) => (before.told && before.keys === keys.join() ? before : {}));
    const again = async () => {
      clearTimeout(timer);
      if (document.hidden) return;
      try {
        const told = await ask(last.current, over.signal);
        if (over.signal.aborted) return;
        note(true);
        if (told !== last.current) set({ told, keys: keys.join() });
        last.current = told;
      } catch (error) {
        if (over.signal.aborted) return;
        note(error instanceof Refused);
        if (error instanceof Refused) set({ error, told: last.current });
      }
      timer = setTimeout(again, last.current && more(last.current) ? SOON : EVERY);
    };
    const seen = () => document.hidden || again();
    document.addEventListener("visibilitychange", seen);
    again();
    return () => {
      over.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, keys);
  return state;
}

export function useQuery() {
  const [query, set] = useState(location.pathname + location.search);
  useEffect(() => {
    const changed = () => set(location.pathname + location.search);
    addEventListener("popstate", changed);
    return () => removeEventListener("popstate", changed);
  }, []);
  return query;
}

export function go(event, where) {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  history.pushState(null, "", where);
  dispatchEvent(new PopStateEvent("popstate"));
  scrollTo(0, 0);
  document.querySelector("h1")?.focus({ preventScroll: true });
}

export function Link({ to, children, ...rest }) {
  return html`<a href=${to} onClick=${(event) => go(event, to)} ...${rest}>${children}</a>`;
}

export const runPath = (name) => `/run?${new URLSearchParams({ run: name })}`;
export const picturePath = (run, step, side) =>
  `/api/picture?${new URLSearchParams({ run, step, ...(side ? { side } : {}) })}`;

// A number with four digits that count, and none that do not.
export function number(value) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(3);
  return String(Number(value.toPrecision(4)));
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function ago(when) {
  const seconds = Date.now() / 1000 - when;
  return seconds < 5 ? "now" : `${duration(seconds)} ago`;
}

export function bytes(count) {
  for (const unit of ["B", "kB", "MB"]) {
    if (count < 1000) return `${Number(count.toPrecision(3))} ${unit}`;
    count /= 1000;
  }
  return `${Number(count.toPrecision(3))} GB`;
}

// A word as a shell takes it for just that, whatever is in it: what shlex.quote of Python gives.
export const quoted = (word) =>
  word !== "" && !/[^A-Za-z0-9_@%+=:,./-]/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;

export const said = (value) => {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return `[${value.map(said).join(", ")}]`;
  return typeof value === "number" ? number(value) : String(value);
};

export const Pill = ({ state, why }) =>
  html`<span class="pill ${state}" title=${why || undefined}>${state}</span>`;

export function Bar({ step, total, label }) {
  if (!total) return null;
  return html`<progress value=${Math.min(step, total)} max=${total} aria-label=${label}></progress>`;
}
