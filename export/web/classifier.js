/**
 * Runs a bundle's text classifier: an unrolled file in MediaPipe, a rolled
 * one in LiteRT.js with this package's tokenizer.
 */

import { AlbertTokenizer, parseLabels } from "./tokenizer.js";

const MANIFEST_VERSION = 1;

/**
 * @typedef {Object} Result
 * @property {{label: string, score: number}[]} classes in the order of the
 *     model's outputs.
 * @property {number} milliseconds from the text to the scores.
 * @property {?number} tokens that the model read, where that is known.
 */

/**
 * Loads the bundle of a folder.
 *
 * @param {string|URL} folder with a slash at its end; the page's own
 *     folder by default.
 * @return {Promise<{manifest: Object, runtime: string, takesPairs: boolean,
 *     classify: function(string, ?string): Promise<Result>}>}
 * @throws {Error} if a file is missing or is none of a bundle.
 */
export async function loadClassifier(folder = new URL("./", import.meta.url)) {
  const read = (name) => fetchWhole(new URL(name, new URL(folder, location)));
  const manifest = await (await read("manifest.json")).json();
  if (manifest.manifest_version !== MANIFEST_VERSION) {
    throw new Error(
      `The manifest must be of version ${MANIFEST_VERSION}. Received: ` +
        `${manifest.manifest_version}.`,
    );
  }
  const { artifact, tokenizer } = manifest;
  const [model, vocabulary, labels] = await Promise.all([
    read(artifact.file).then((response) => response.arrayBuffer()),
    read(tokenizer.file).then((response) => response.arrayBuffer()),
    manifest.labels && read(manifest.labels).then((response) => response.text()),
  ]);
  const names = labels ? parseLabels(labels) : [];
  const load = artifact.layout === "rolled" ? loadLiteRt : loadMediaPipe;
  const runner = await load(new Uint8Array(model), vocabulary, manifest);
  return {
    manifest,
    runtime: runner.runtime,
    takesPairs: runner.takesPairs,
    async classify(text, pair = null) {
      const start = performance.now();
      const { scores, tokens } = await runner.run(text, pair);
      return {
        classes: scores.map((score, index) => ({
          label: names[index] ?? `class ${index}`,
          score,
        })),
        milliseconds: performance.now() - start,
        tokens,
      };
    },
  };
}

async function loadLiteRt(model, vocabulary, manifest) {
  const runtime = await import("@litertjs/core");
  await runtime.loadLiteRt(new URL("./vendor/litert/wasm/", import.meta.url).href);
  const compiled = await runtime.loadAndCompile(model, { accelerator: "wasm" });
  const tokenizer = new AlbertTokenizer(vocabulary);
  const { inputs } = manifest.artifact;
  const length = inputs.token_ids.shape[1];
  if (length < 0) allowOpenShapes(runtime);
  const { max_length: maxLength, truncate } = manifest.tokenizer;
  const options = { maxLength: length < 0 ? maxLength : length, truncate };
  const tensor = (values) => {
    const padded = new Int32Array(Math.max(length, values.length));
    padded.set(values);
    return new runtime.Tensor(padded, [1, padded.length]);
  };
  return {
    runtime: "LiteRT.js",
    takesPairs: true,
    async run(text, pair) {
      const packed = tokenizer.pack(text, pair, options);
      const tensors = {
        token_ids: tensor(packed.tokenIds),
        segment_ids: tensor(packed.segmentIds),
        padding_mask: tensor(packed.paddingMask),
      };
      const outputs = await compiled.run(tensors);
      const scores = [...outputs.probabilities.toTypedArray()];
      for (const used of [tensors, outputs]) {
        for (const one of Object.values(used)) one.delete();
      }
      return { scores, tokens: packed.tokenIds.length };
    },
  };
}

/**
 * LiteRT.js 2.5 compares the shapes of inputs with those of the file before
 * each run, and takes an open dimension, -1, for a mismatch. The runtime
 * below it resizes such inputs by itself.
 */
function allowOpenShapes({ getGlobalLiteRt }) {
  getGlobalLiteRt().liteRtWasm.checkTensorBufferCompatible = () => {};
}

async function loadMediaPipe(model) {
  const { FilesetResolver, TextClassifier } = await import("@mediapipe/tasks-text");
  const files = await FilesetResolver.forTextTasks(
    new URL("./vendor/mediapipe", import.meta.url).href,
  );
  const classifier = await TextClassifier.createFromOptions(files, {
    baseOptions: { modelAssetBuffer: model },
  });
  return {
    runtime: "MediaPipe",
    takesPairs: false,
    async run(text) {
      // MediaPipe would end the text at a NUL. To the tokenizer that is an
      // unknown character, as is this one, which is for private use.
      const whole = text.replaceAll("\0", "\u{10FFFD}");
      const [{ categories }] = classifier.classify(whole).classifications;
      const scores = [];
      for (const { index, score } of categories) scores[index] = score;
      return { scores, tokens: null };
    },
  };
}

async function fetchWhole(url) {
  const response = await fetch(url);
  if (!response.ok) {
    throw new Error(`${url.pathname} could not be read: ${response.status}.`);
  }
  return response;
}
