// All runs of the folder, the newest first.
import { useEffect, useRef, useState } from "preact/hooks";
import { Begun } from "./control.js";
import {
  ago, Bar, duration, get, go, html, Link, number, picturePath, Pill, runPath, usePolled,
} from "./base.js";

const STATES = ["running", "stalled", "failed", "stopped", "finished"];
const SHOWN = 100; // more are shown when asked for
const TOGETHER = 8; // that can be compared

export function Runs() {
  const { told, error } = usePolled((_, signal) => get("/api/runs", {}, signal), [], (now) => !now.all);
  const [words, setWords] = useState("");
  const [state, setState] = useState("");
  const [chosen, setChosen] = useState([]);
  const [most, setMost] = useState(SHOWN);
  const field = useRef(null);
  useEffect(() => {
    const typed = (event) => {
      if (event.key !== "/" || event.target.matches("input:not([type=checkbox])")) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener("keydown", typed);
    return () => removeEventListener("keydown", typed);
  }, []);
  if (error && !told) return html`<p class="error" role="alert">${error.message}</p>`;
  if (!told) return html`<p class="soft" aria-live="polite">Looking for runs…</p>`;
  const runs = told.runs.filter(
    (run) =>
      (!state || run.state === state) &&
      words.toLowerCase().split(/\s+/).every((word) => `${run.name} ${run.recipe}`.toLowerCase().includes(word)),
  );
  const there = chosen.filter((name) => told.runs.some((run) => run.name === name));
  const choose = (name, on) =>
    setChosen(on ? [...there, name].slice(-TOGETHER) : there.filter((one) => one !== name));
  const query = new URLSearchParams(there.map((name) => ["run", name]));
  return html`
    <div class="head">
      <h1 tabindex="-1">${told.folder}</h1>
      <p class="soft">
        ${number(told.count)} ${told.count === 1 ? "run" : "runs"}${told.all ? "" : ", still looking"}
      </p>
    </div>
    ${told.count > 0 &&
    html`<div class="tools">
      <input ref=${field} type="search" placeholder="Find by name or recipe ( / )" aria-label="Find runs by name or recipe"
        value=${words} onInput=${(event) => setWords(event.target.value)} />
      <div class="choice" role="group" aria-label="Show only runs that are">
        ${STATES.map((one) => {
          const count = told.runs.filter((run) => run.state === one).length;
          return count > 0 && html`<button aria-pressed=${state === one} onClick=${() => setState(state === one ? "" : one)}>
            ${one} <span class="soft">${number(count)}</span></button>`;
        })}
      </div>
      <span class="fill"></span>
      ${told.control && html`<${Link} to="/new" class="button">Start a recipe<//>`}
      <button class="main" disabled=${there.length < 2} onClick=${(event) => go(event, `/compare?${query}`)}>
        ${there.length < 2 ? "Choose two to compare" : `Compare ${there.length}`}
      </button>
    </div>`}
    ${told.count === 0 && told.all && html`<div class="panel empty"><p>No runs here yet. A run appears as soon as it starts:</p><pre>gankit train</pre></div>`}
    ${told.count > 0 && runs.length === 0 && html`<p class="soft">No run is like that.</p>`}
    ${told.control && told.count === 0 && html`<p><${Link} to="/new" class="button">Start a recipe<//></p>`}
    ${told.control && html`<${Begun} />`}
    <ul class="runs">
      ${runs.slice(0, most).map((run) => html`<${Row} key=${run.name} run=${run} chosen=${there.includes(run.name)} choose=${choose} />`)}
    </ul>
    ${runs.length > most && html`<button onClick=${() => setMost(most + 5 * SHOWN)}>Show more of ${number(runs.length)}</button>`}`;
}

function Row({ run, chosen, choose }) {
  const left = run.left ? `${duration(run.left)} left` : run.state === "running" ? "" : ago(run.changed);
  const { warning, warned } = run;
  return html`<li class="row">
    <input type="checkbox" checked=${chosen} aria-label="Choose ${run.name} to compare" onChange=${(event) => choose(run.name, event.target.checked)} />
    <${Link} to=${runPath(run.name)} class="thumb" tabindex="-1" aria-hidden="true">
      ${run.picture !== null && html`<img loading="lazy" alt="" width="56" height="56" src=${picturePath(run.name, run.picture, 96)} />`}
    <//>
    <div class="what">
      <${Link} to=${runPath(run.name)} class="name">${run.name}<//>
      <span class="soft">${run.recipe || run.why}</span>
    </div>
    <${Pill} state=${run.state} why=${run.why} />
    <div class="steps">
      <span><b>${number(run.step)}</b>${run.total ? ` of ${number(run.total)}` : ""}</span>
      <${Bar} step=${run.step} total=${run.total} label="steps done" />
    </div>
    <span class="rate">${run.rate ? `${number(Number(run.rate.toPrecision(3)))} steps/s` : ""}</span>
    <span class="left soft">${left}</span>
    <span class="warns">${warning && html`<span class="warning" title="Step ${number(warning.step)}: ${warning.text}">${warning.kind}${warned > 1 ? ` +${number(warned - 1)}` : ""}</span>`}</span>
  </li>`;
}
