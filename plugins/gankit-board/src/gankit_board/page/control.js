// What --control allows: to stop a run, to go on with one, to start a recipe.
import { useEffect, useState } from "preact/hooks";
import { get, go, html, post, quoted, said, usePolled } from "./base.js";

const BLOCKS = ["dataset", "conditioner", "noise", "generator", "discriminator", "loss", "optimizer", "train"];
const FIRST = ["train", "dataset"]; // that are open at first

async function tell(path, told, setProblem) {
  setProblem("");
  try {
    return await (await post(path, told)).json();
  } catch (error) {
    setProblem(error.message);
    return null;
  }
}

// Stop a run, or go on with it.
export function Steer({ run }) {
  const [asked, setAsked] = useState(""); // the state in which it was asked
  const [changes, setChanges] = useState("");
  const [problem, setProblem] = useState("");
  const runs = ["running", "stalled"].includes(run.state);
  useEffect(() => setAsked(""), [run.state]);
  const act = async (event) => {
    event.preventDefault();
    setAsked(run.state);
    const told = runs
      ? await tell("/api/stop", { run: run.name }, setProblem)
      : await tell("/api/resume", { run: run.name, changes: pairs(changes.split(/\s+(?=[\w.-]+=)/)) }, setProblem);
    if (!told) setAsked("");
  };
  return html`<form class="tools" onSubmit=${act}>
    ${runs
      ? html`<button disabled=${asked}>${asked ? "Stopping: it finishes its step, and saves…" : "Stop, and save"}</button>`
      : html`<button disabled=${asked}>${asked ? "Going on…" : "Go on"}</button>
        <label>with <input placeholder="train.steps=6000" value=${changes} aria-label="Changes of its recipe" onInput=${(event) => setChanges(event.target.value)} /></label>`}
    ${problem && html`<p class="error" role="alert">${problem}</p>`}
  </form>
  ${!runs && html`<${Begun} only=${run.name} />`}`;
}

// What was started from the page, as long as it says something that the runs do not.
export function Begun({ only }) {
  const { told } = usePolled((_, signal) => get("/api/begun", {}, signal), []);
  const some = (told?.begun ?? []).filter((one) => ["preparing", "failed"].includes(one.state) && (!only || one.name === only));
  const newest = only ? some.slice(0, 1) : some;
  return newest.map((one) => html`<div class="panel begun" role="status"><b>${one.name}</b> <span class="pill ${one.state}">${one.state}</span>
    <code>${one.command}</code><p class=${one.state === "failed" ? "error" : "soft"}>${one.said}</p></div>`);
}

// "train.steps=6000", as the command line takes each.
function pairs(words) {
  const found = words.map((word) => word.trim()).filter(Boolean).map((word) => {
    const at = word.indexOf("=");
    return at < 0 ? [word, ""] : [word.slice(0, at).trim(), word.slice(at + 1).trim()];
  });
  return Object.fromEntries(found);
}

export function New() {
  const [recipes, setRecipes] = useState(null);
  const [recipe, setRecipe] = useState("");
  const [form, setForm] = useState(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    get("/api/recipes").then((told) => setRecipes(told.recipes), (error) => setProblem(error.message));
  }, []);
  useEffect(() => {
    setForm(null);
    if (!recipe) return;
    setProblem("");
    fetch(`/api/form?${new URLSearchParams({ recipe })}`).then(async (answer) => {
      const told = await answer.json();
      if (answer.ok) setForm(told);
      else setProblem(told.error);
    }, (error) => setProblem(error.message));
  }, [recipe]);
  return html`<div class="head"><h1 tabindex="-1">Start a recipe</h1></div>
    ${problem && html`<p class="error" role="alert">${problem}</p>`}
    ${recipes && html`<label class="tools">Recipe <select aria-label="Recipe" value=${recipe} onChange=${(event) => setRecipe(event.target.value)}>
      <option value="">choose one</option>
      ${recipes.map((one) => html`<option value=${one.long_name}>${one.name}: ${one.summary}</option>`)}</select></label>`}
    ${recipe && !form && !problem && html`<p class="soft" role="status">Reading the recipe and what may be set…</p>`}
    ${form && html`<${Options} key=${recipe} recipe=${recipe} form=${form} />`}`;
}

// The part of the schema that a block follows: that of the part it uses.
function followed(schema, use) {
  const kinds = schema.oneOf ?? schema.anyOf;
  if (!kinds) return { properties: schema.properties ?? {}, uses: null };
  const parts = kinds.filter((one) => one.properties?.use?.enum);
  const mine = parts.find((one) => one.properties.use.enum.includes(use));
  return { properties: mine?.properties ?? {}, uses: parts.map((one) => one.properties.use) };
}

const flat = (one) => (one.anyOf?.length === 1 ? { ...one.anyOf[0], ...one } : one);

function Options({ recipe, form }) {
  const [changes, setChanges] = useState({});
  const [more, setMore] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const all = { ...changes, ...pairs(more.split("\n")) };
  const words = ["gankit", "train", recipe, ...Object.entries(all).map(([key, value]) => `${key}=${value}`), ...form.how];
  const start = async (event) => {
    event.preventDefault();
    setBusy(true);
    const told = await tell("/api/start", { recipe, changes: all }, setProblem);
    setBusy(false);
    if (told) go(event, "/");
  };
  const set = (key, value, before) => {
    const { [key]: _, ...rest } = changes;
    setChanges(value === "" || value === String(before) ? rest : { ...rest, [key]: value });
  };
  return html`<form onSubmit=${start} noValidate>
    ${BLOCKS.filter((block) => form.schema.properties[block]).map((block) => html`<${Block} key=${block} block=${block}
      schema=${form.schema.properties[block]} table=${form.table[block]} changes=${changes} set=${set} />`)}
    <label class="more">Anything else, as on the command line: a line each, as <code>loss.use=hinge</code>
      <textarea rows="2" value=${more} onInput=${(event) => setMore(event.target.value)}></textarea></label>
    <pre class="command">${words.map(quoted).join(" ")}</pre>
    ${problem && html`<p class="error" role="alert">${problem}</p>`}
    <div class="tools"><button class="main" disabled=${busy}>${busy ? "Checking…" : "Start"}</button></div>
  </form>`;
}

function Block({ block, schema, table, changes, set }) {
  const own = table?.use ?? "";
  const use = changes[`${block}.use`] ?? own;
  const { properties, uses } = followed(schema, use);
  const same = use === own;
  const fields = Object.entries(properties).filter(([key, one]) => key !== "use" && !one.properties && one.type !== "object");
  if (!fields.length && !uses) return null;
  return html`<details class="block" open=${FIRST.includes(block)}><summary>${block}${use && html` <b>${use}</b>`}</summary>
    ${uses && html`<label class="option">part <select aria-label="${block}.use" value=${use} onChange=${(event) => set(`${block}.use`, event.target.value, own)}>
      ${!own && html`<option value="">none</option>`}
      ${uses.map((one) => { const long = one.enum.at(-1); return html`<option value=${one.enum.includes(own) ? own : long}>${one.enum[0]}: ${one.description ?? ""}</option>`; })}</select></label>`}
    <div class="options">${fields.map(([key, one]) => {
      const before = same ? table?.[key] ?? one.default : one.default;
      return html`<${Field} key=${`${use}.${key}`} name=${key} path="${block}.${key}" one=${flat(one)} before=${before} value=${changes[`${block}.${key}`] ?? ""}
        set=${(value) => set(`${block}.${key}`, value, before ?? "")} />`;
    })}</div></details>`;
}

function Field({ name, path, one, before, value, set }) {
  const shown = before === undefined || before === null ? "" : said(before).replace(/,(?=\d{3})/g, "");
  const range = [
    one.minimum !== undefined && `at least ${one.minimum}`, one.exclusiveMinimum !== undefined && `above ${one.exclusiveMinimum}`,
    one.maximum !== undefined && `at most ${one.maximum}`, one.exclusiveMaximum !== undefined && `below ${one.exclusiveMaximum}`,
  ].filter(Boolean).join(", ");
  const choice = one.enum ?? (one.type === "boolean" ? [true, false] : null);
  const typed = (event) => set(event.target.value);
  const wrong = value !== "" && !fits(one, value);
  return html`<label class="option"><span>${name}</span>
    ${choice
      ? html`<select aria-label=${path} value=${value || shown} onChange=${typed}>${!shown && html`<option value=""></option>`}${choice.map((word) => html`<option value=${String(word)}>${String(word)}</option>`)}</select>`
      : html`<input aria-label=${path} value=${value} placeholder=${shown} inputmode=${["integer", "number"].includes(one.type) ? "decimal" : "text"} aria-invalid=${wrong} onInput=${typed} />`}
    <small class=${wrong ? "wrong" : "soft"}>${one.description ?? ""}${range && ` (${range})`}</small></label>`;
}

// Whether a value that was typed is one that the schema takes; the server checks it too.
export function fits(one, text) {
  if (one.type !== "integer" && one.type !== "number") return true;
  const value = Number(text.replaceAll("_", ""));
  if (!Number.isFinite(value) || (one.type === "integer" && !Number.isInteger(value))) return false;
  return !(value < one.minimum || value > one.maximum || value <= one.exclusiveMinimum || value >= one.exclusiveMaximum);
}

