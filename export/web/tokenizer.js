/**
 * ALBERT's tokenizer and packer for browsers and Node; no dependencies.
 *
 * It reads the vocabulary file of a bundle (`keras-albert export --bundle`)
 * and gives the ids of the Python package's `AlbertTokenizer`: normalization
 * by the longest matching rule, then the most probable segmentation, as
 * SentencePiece's Unigram model has it.
 */

const MAGIC = "ALBV";
const VERSION = 1;
const HEADER_BYTES = 16;
const SPACE = "\u2581";
// SentencePiece keeps sums small, so that long texts do not lose precision.
const LARGEST_SUM = 100000;

/** Tokenizes texts, and packs one or two of them as a model's inputs. */
export class AlbertTokenizer {
  #vocabulary;

  /**
   * @param {ArrayBuffer|Uint8Array} content of the vocabulary file.
   * @throws {Error} if it is none, was cut off, damaged, or is of a version
   *     that this code does not know.
   */
  constructor(content) {
    this.#vocabulary = readVocabulary(checkedPayload(content));
  }

  /**
   * @param {string} text of any length; a surrogate without its other half
   *     counts as U+FFFD.
   * @return {number[]} token ids, without special tokens.
   */
  tokenize(text) {
    const { splits } = this.#vocabulary;
    const ids = this.#segment(this.#normalize(text));
    return ids.flatMap((id) => splits.get(id) ?? id);
  }

  /**
   * Packs `[CLS] text [SEP]` or `[CLS] text [SEP] pair [SEP]`, no longer than
   * it needs to be.
   *
   * @param {string} text
   * @param {?string} pair the second text, if there is one.
   * @param {{maxLength?: number, truncate?: string}} options maxLength in
   *     tokens; truncate "round_robin", which gives both texts the same room,
   *     or "waterfall", which gives the second what the first leaves.
   * @return {{tokenIds: Int32Array, segmentIds: Int32Array,
   *     paddingMask: Int32Array}}
   * @throws {Error} if maxLength does not hold the special tokens.
   */
  pack(text, pair = null, options = {}) {
    const { maxLength = 512, truncate = "round_robin" } = options;
    const { clsId, sepId } = this.#vocabulary;
    const texts = pair === null ? [text] : [text, pair];
    const room = maxLength - texts.length - 1;
    if (!(room >= 0)) {
      throw new Error(
        `maxLength must be at least ${texts.length + 1}, to hold the special ` +
          `tokens. Received: ${maxLength}.`,
      );
    }
    const [first, second = []] = texts.map((part) => this.tokenize(part));
    let kept = Math.min(first.length, room);
    if (truncate === "round_robin") {
      kept = Math.min(kept, Math.max(room - second.length, (room + 1) >> 1));
    } else if (truncate !== "waterfall") {
      throw new Error(
        'truncate must be "round_robin" or "waterfall". Received: ' +
          `${JSON.stringify(truncate)}.`,
      );
    }
    const tokens = [clsId, ...first.slice(0, kept), sepId];
    const start = tokens.length;
    if (pair !== null) tokens.push(...second.slice(0, room - kept), sepId);
    return {
      tokenIds: Int32Array.from(tokens),
      segmentIds: new Int32Array(tokens.length).fill(1, start),
      paddingMask: new Int32Array(tokens.length).fill(1),
    };
  }

  #normalize(text) {
    const { addSpace, collapseSpaces, space } = this.#vocabulary;
    text = String(text).replace(/\p{Surrogate}/gu, "\uFFFD");
    const parts = addSpace ? [space] : [];
    let isStart = true;
    let afterSpace = collapseSpaces;
    for (let at = 0; at < text.length; ) {
      let { target, end } = this.#replacement(text, at);
      at = end;
      if (isStart && collapseSpaces && target === " ") continue;
      isStart = false;
      if (afterSpace) target = target.replace(/^ +/, "");
      if (target === "") continue;
      parts.push(target.replaceAll(" ", space));
      afterSpace = collapseSpaces && target.endsWith(" ");
    }
    if (isStart) return "";
    const normalized = parts.join("");
    let end = normalized.length;
    while (collapseSpaces && end > 0 && normalized[end - 1] === space) end--;
    return normalized.slice(0, end);
  }

  /** What replaces the text from a place on, and where the text goes on. */
  #replacement(text, at) {
    const { symbols, rules, targets } = this.#vocabulary;
    const symbol = symbols.longest(text, at);
    const rule = symbol ? 0 : rules.longest(text, at);
    if (rule) {
      return { target: targets[rules.values[rule]], end: at + rules.depths[rule] };
    }
    const end = at + (symbol ? symbols.depths[symbol] : width(text, at));
    return { target: text.slice(at, end), end };
  }

  /** The most probable segmentation: Viterbi, with sums in float32. */
  #segment(text) {
    const { pieces, scores, unknownId } = this.#vocabulary;
    const best = new Float32Array(text.length + 1);
    const starts = new Int32Array(text.length + 1).fill(-1);
    const ids = new Int32Array(text.length + 1);
    let furthest = 0;
    for (let start = 0, step; start < text.length; start += step) {
      const offset = Math.abs(best[start]) > LARGEST_SUM ? best[start] : 0;
      for (let i = start; offset && i <= furthest; i++) best[i] -= offset;
      step = width(text, start);
      let node = 0;
      for (let end = start + 1; node >= 0 || end <= start + step; end++) {
        if (end > text.length) break;
        if (node >= 0) node = pieces.child(node, text.charCodeAt(end - 1));
        let id = node < 0 ? -1 : pieces.values[node];
        if (id < 0 && end === start + step) id = unknownId;
        if (id < 0) continue;
        // Rounded before it is compared, as in SentencePiece: that settles
        // ties.
        const sum = Math.fround(best[start] + scores[id]);
        if (starts[end] >= 0 && sum <= best[end]) continue;
        best[end] = sum;
        starts[end] = start;
        ids[end] = id;
        furthest = Math.max(furthest, end);
      }
    }
    const path = [];
    for (let end = text.length; end > 0; end = starts[end]) {
      // A run of unknown characters is one token.
      const isRun = ids[end] === unknownId && path.at(-1) === unknownId;
      if (!isRun) path.push(ids[end]);
    }
    return path.reverse();
  }
}

/**
 * @param {string} content of a bundle's labels.txt.
 * @return {string[]} the labels, in the order of the model's outputs.
 */
export function parseLabels(content) {
  return content.replace(/\n$/, "").split("\n");
}

function width(text, at) {
  return text.codePointAt(at) > 0xffff ? 2 : 1;
}

/** A prefix tree of strings; its nodes are numbered breadth first. */
class Trie {
  /**
   * @param {string[]} strings
   * @param {number[]} chosen indices of the strings that go in.
   */
  constructor(strings, chosen) {
    const keys = chosen.map((index) => [strings[index], index]);
    keys.sort(([a], [b]) => (a < b ? -1 : 1));
    // A node's strings are a range of `keys` with `depth` units in common.
    const [units, children, ends, values] = [[0], [], [keys.length], []];
    const [lows, depths] = [[0], [0]];
    for (let node = 0; node < units.length; node++) {
      children.push(units.length);
      let at = lows[node];
      const depth = depths[node];
      const isEnd = at < ends[node] && keys[at][0].length === depth;
      values.push(isEnd ? keys[at++][1] : -1);
      while (at < ends[node]) {
        const unit = keys[at][0].charCodeAt(depth);
        units.push(unit);
        depths.push(depth + 1);
        lows.push(at);
        while (at < ends[node] && keys[at][0].charCodeAt(depth) === unit) at++;
        ends.push(at);
      }
    }
    children.push(units.length);
    this.units = Uint16Array.from(units);
    this.children = Int32Array.from(children);
    /** For each node the index of the string that ends there, or -1. */
    this.values = Int32Array.from(values);
    /** For each node the length of its prefix, in UTF-16 code units. */
    this.depths = Int32Array.from(depths);
  }

  /** The child of a node by a UTF-16 code unit, or -1. */
  child(node, unit) {
    let low = this.children[node];
    let high = this.children[node + 1] - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (this.units[middle] === unit) return middle;
      if (this.units[middle] < unit) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** The node of the longest string at a place in a text; 0 for none. */
  longest(text, start) {
    let longest = 0;
    for (let at = start, node = 0; at < text.length; ) {
      node = this.child(node, text.charCodeAt(at++));
      if (node < 0) break;
      if (this.values[node] >= 0) longest = node;
    }
    return longest;
  }
}

function checkedPayload(content) {
  const bytes = ArrayBuffer.isView(content) ? content : new Uint8Array(content);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = String.fromCharCode(...bytes.subarray(0, MAGIC.length));
  const fail = (message) => {
    throw new Error(`The vocabulary file ${message}`);
  };
  if (bytes.byteLength < HEADER_BYTES || magic !== MAGIC) {
    fail(`must start with ${MAGIC}: this is none, or it was cut off.`);
  }
  if (view.getUint32(4, true) !== VERSION) {
    const version = view.getUint32(4, true);
    fail(`must be of version ${VERSION}. Received: version ${version}.`);
  }
  const wanted = HEADER_BYTES + view.getUint32(8, true);
  if (bytes.byteLength !== wanted) {
    fail(`must have ${wanted} bytes. Received: ${bytes.byteLength}.`);
  }
  const payload = bytes.subarray(HEADER_BYTES);
  let crc = ~0;
  for (const byte of payload) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (-(crc & 1) & 0xedb88320);
  }
  if (~crc >>> 0 !== view.getUint32(12, true)) {
    fail("is damaged: its checksum is wrong.");
  }
  return payload;
}

function readVocabulary(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const number = () => view.getUint32((at += 4) - 4, true);
  const list = (read) => Array.from({ length: number() }, read);
  const strings = () => {
    const [count, length] = [number(), number()];
    const part = bytes.subarray(at, (at += length));
    // A first U+FEFF belongs to a string; it is no mark to be dropped.
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    return count ? decoder.decode(part).split("\0") : [];
  };
  const flags = number();
  const [unknownId, clsId, sepId] = [number(), number(), number()];
  at += 8; // The ids of <pad> and [MASK].
  const scores = list(() => view.getFloat32((at += 4) - 4, true));
  const hidden = new Set(list(number));
  const symbolIds = list(number);
  const splits = new Map(list(() => [number(), list(number)]));
  const [names, sources, targets] = [strings(), strings(), strings()];
  return {
    addSpace: Boolean(flags & 1),
    collapseSpaces: Boolean(flags & 2),
    space: flags & 4 ? SPACE : " ",
    unknownId,
    clsId,
    sepId,
    scores: Float32Array.from(scores),
    splits,
    targets,
    pieces: new Trie(names, [...names.keys()].filter((id) => !hidden.has(id))),
    symbols: new Trie(names, symbolIds),
    rules: new Trie(sources, [...sources.keys()]),
  };
}
