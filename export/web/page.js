/** The page: shows what the classifier says while a text is typed. */

import { loadClassifier } from "./classifier.js";

const find = (id) => document.getElementById(id);
const [text, pair, status, labels] = ["text", "pair", "status", "labels"].map(find);
const percent = new Intl.NumberFormat("en", {
  style: "percent",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
const PAUSE_MS = 120;

let classifier;
let timer;
let latest = 0;

try {
  classifier = await loadClassifier();
  describe(classifier);
  // The first run packs the weights, which no later text pays for.
  await classifier.classify("");
  await show();
  for (const field of [text, pair]) {
    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(show, PAUSE_MS);
    });
  }
} catch (error) {
  fail(error);
}

function describe({ manifest, runtime, takesPairs }) {
  const { artifact, files, report, tokenizer } = manifest;
  const megabytes = files[artifact.file].bytes / 1e6;
  find("facts").textContent =
    `${runtime}, ${artifact.layout} layout, ${report.quantization}, ` +
    `${megabytes.toFixed(1)} MB, texts of up to ${tokenizer.max_length} tokens.`;
  find("pair-field").hidden = !takesPairs;
}

async function show() {
  const request = ++latest;
  if (!text.value) {
    labels.replaceChildren();
    find("latency").textContent = "";
    tell("Type a text to see its labels.");
    return;
  }
  try {
    const result = await classifier.classify(text.value, pair.value || null);
    if (request === latest) draw(result);
  } catch (error) {
    fail(error);
  }
}

function draw({ classes, milliseconds, tokens }) {
  const isScore = classifier.manifest.num_classes === 1;
  const sorted = [...classes].sort((a, b) => b.score - a.score);
  labels.replaceChildren(
    ...sorted.map(({ label, score }, place) => {
      const item = document.createElement("li");
      item.className = place === 0 ? "best" : "";
      add(item, "span", isScore ? "score" : label);
      const number = add(item, "span", isScore ? score.toFixed(3) : percent.format(score));
      number.className = "score";
      if (!isScore) {
        const bar = add(item, "div");
        bar.className = "bar";
        bar.ariaHidden = "true";
        add(bar, "div").style.width = percent.format(score);
      }
      return item;
    }),
  );
  const counted = tokens === null ? "" : `${tokens} tokens, `;
  find("latency").textContent = `${counted}${milliseconds.toFixed(1)} ms`;
  const [best] = sorted;
  const said = isScore
    ? `Score ${best.score.toFixed(3)}`
    : `${best.label}, ${percent.format(best.score)}`;
  tell(said, "spoken");
}

function add(parent, tag, content = "") {
  const element = document.createElement(tag);
  element.textContent = content;
  parent.append(element);
  return element;
}

function tell(message, className = "") {
  status.className = className;
  status.textContent = message;
}

function fail(error) {
  tell(`The model could not run. ${error.message ?? error}`, "error");
}
