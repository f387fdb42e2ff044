// Style transfer in the playground: which picture, and how far its noise is found.
import { useEffect, useState } from "preact/hooks";
import { html, number } from "./base.js";

const LARGEST = 12; // MB of a picture that is uploaded
const KINDS = "image/png,image/jpeg,image/webp,image/gif,image/bmp";

// A file as the server takes it.
export const base64 = (blob) => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
  reader.onerror = () => failed(new Error("the picture cannot be read any more; choose it again"));
  reader.readAsDataURL(blob);
});

// A picture that was drawn, as a file of this name.
export function asFile(png, name) {
  const data = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
  return new File([data], name, { type: "image/png" });
}

// The picture whose style is asked for: a file, or a sample that was drawn.
export function StyleOf({ style, setStyle, by, setBy, inversions }) {
  const [url, setUrl] = useState("");
  const [problem, setProblem] = useState("");
  useEffect(() => {
    if (!style) return;
    const made = URL.createObjectURL(style.file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [style]);
  const choose = (event) => {
    const [file] = event.target.files;
    event.target.value = ""; // so that the same one can be chosen again
    if (!file) return;
    const large = file.size > LARGEST * 2 ** 20;
    setProblem(large ? `${file.name}: it has more than ${LARGEST} MB` : "");
    if (!large) setStyle({ file, drawn: false });
  };
  return html`<div class="style">
    ${style && url && html`<img src=${url} alt="the picture whose style is asked for" />`}
    <div><div class="tools">
      <label class="button">${style ? "Another picture" : "Choose a picture"}<input type="file" class="unseen" accept=${KINDS} onChange=${choose} /></label>
      ${style?.drawn && html`<a class="button" href=${url} download=${style.file.name}>Save it, for the command</a>`}
      ${inversions.length > 1 && html`<label>by <select value=${by} aria-label="Inversion" onChange=${(event) => setBy(event.target.value)}>${inversions.map((one) => html`<option value=${one}>${one}</option>`)}</select></label>`}
    </div>
    ${style && html`<p class="name">${style.file.name}</p>`}
    <p class="soft">${!style && "Or draw some, choose one of them, and take its style. "}Noise is found for the picture, and held while captions change.
      The first time for a checkpoint this is learnt, which takes minutes; it is kept in the run's folder <code>inversions</code>, as <code>gankit sample --style</code> keeps it.</p></div>
    ${problem && html`<p class="error" role="alert">${problem}</p>`}
  </div>`;
}

// How far what takes minutes is.
export function Doing({ doing }) {
  return html`<p class="soft doing"><progress value=${doing.steps} max=${Math.max(doing.of, 1)} aria-label="noise is being found"></progress>
    ${doing.doing}, step ${number(doing.steps)} of ${number(doing.of)}</p>`;
}
