// Two to eight runs beside each other.
import { useEffect, useMemo, useState } from "preact/hooks";
import { get, html, Link, number, picturePath, Pill, runPath, said, usePolled } from "./base.js";
import { Chart, colour, Controls } from "./charts.js";
import { useCurves } from "./run.js";

const DASHES = [undefined, [6, 3]]; // two runs of one colour are told apart by it

export function Compare({ names }) {
  const { told, error } = usePolled((_, signal) => get("/api/runs", {}, signal), [names.join()]);
  const [differences, setDifferences] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    get("/api/compare", { run: names }).then((told) => setDifferences(told.differences), (error) => setProblem(error.message));
  }, [names.join()]);
  if (problem) return html`<h1 tabindex="-1">Compare</h1><p class="error" role="alert">${problem}</p>`;
  if (!told) return html`<p class="soft">${error ? error.message : "Reading…"}</p>`;
  const runs = names.map((name) => told.runs.find((run) => run.name === name)).filter(Boolean);
  return html`
    <div class="head"><h1 tabindex="-1">${names.length} runs beside each other</h1></div>
    <ul class="legend keys">${runs.map((run, place) => html`<li key=${run.name}><i class=${colour(place).slice(2)}></i><${Link} to=${runPath(run.name)}>${run.name}<//>
      <${Pill} state=${run.state} why=${run.why} /><span>step ${number(run.step)}</span></li>`)}</ul>
    <section id="differences"><h2>What differs in their recipes</h2>
      ${differences?.length === 0 && html`<p class="soft">Nothing.</p>`}
      ${differences?.length > 0 && html`<div class="scroll"><table><thead><tr><th>option</th>${names.map((name) => html`<th>${name}</th>`)}</tr></thead>
        <tbody>${differences.map((row) => html`<tr><td><code>${row.option}</code></td>${row.values.map((value) => html`<td>${said(value)}</td>`)}</tr>`)}</tbody></table></div>`}
    </section>
    <${Grids} names=${names} />
    <${Together} names=${names} />`;
}

// The grids of all of them, at the same step or the last one before it.
function Grids({ names }) {
  const [steps, setSteps] = useState(null);
  const [at, setAt] = useState(null);
  useEffect(() => {
    const asked = names.map((run) => get("/api/run", { run }).then((told) => told.grids, () => []));
    Promise.all(asked).then(setSteps);
  }, [names.join()]);
  const all = useMemo(() => [...new Set((steps ?? []).flat())].sort((a, b) => a - b), [steps]);
  if (!all.length) return null;
  const place = at === null ? all.length - 1 : at;
  return html`<section id="pictures"><h2>Pictures</h2>
    <div class="slide"><input type="range" min="0" max=${all.length - 1} value=${place} aria-label="Step of the pictures" aria-valuetext="step ${number(all[place])}"
      onInput=${(event) => setAt(Number(event.target.value))} /><output>step ${number(all[place])}</output></div>
    <div class="grids">${names.map((name, i) => {
      const step = steps[i].findLast((one) => one <= all[place]);
      return html`<figure key=${name}><figcaption><i class=${colour(i).slice(2)}></i>${name}${step !== undefined && step !== all[place] ? html` <span class="soft">step ${number(step)}</span>` : ""}</figcaption>
        ${step === undefined ? html`<p class="soft">nothing yet</p>` : html`<img alt="${name} at step ${number(step)}" src=${picturePath(name, step)} />`}</figure>`;
    })}</div></section>`;
}

function Together({ names }) {
  const [range, zoom] = useState(null);
  const [smooth, setSmooth] = useState(0);
  const [kind, setKind] = useState("auto");
  // as many hooks in each drawing, because the names of this view never change
  const told = names.map((name) => useCurves(name, range).told);
  const ready = told.filter(Boolean);
  const charts = useMemo(() => joined(names, told), [told.map((one) => one?.version).join(), range?.[0], range?.[1], ready.length]);
  return html`<section id="curves"><h2>Curves</h2>
    <p class="soft">${ready.some((one) => one.share < 1) ? "Reading…" : "The same measurement of each run in one chart."}</p>
    ${charts.length > 0 && html`<${Controls} ...${{ smooth, setSmooth, kind, setKind, range, zoom }} last=${Math.max(...charts.map((one) => one.steps.at(-1)))} />`}
    <div class="charts">${charts.map((one) => html`<${Chart} key=${one.title} ...${one} smooth=${smooth} kind=${kind} range=${range} zoom=${zoom} />`)}</div>
  </section>`;
}

// A chart for each measurement that any of the runs has, over the steps of all.
export function joined(names, told) {
  const measured = [...new Set(told.flatMap((one) => (one?.groups ?? []).flatMap((group) => group.names)))];
  return measured.map((name) => {
    const having = told.map((one, place) => ({ one, place })).filter(({ one }) => one?.series?.[name]);
    const steps = [...new Set(having.flatMap(({ one }) => one.steps))].sort((a, b) => a - b);
    const places = new Map(steps.map((step, at) => [step, at]));
    const lines = having.map(({ one, place }) => {
      const values = new Array(steps.length).fill(null);
      one.series[name][0].forEach((value, at) => { values[places.get(one.steps[at])] = value; });
      return { name: names[place], label: names[place], colour: colour(place), values, dash: DASHES[Math.floor(place / 6)] };
    });
    return { title: name, steps, lines };
  });
}
