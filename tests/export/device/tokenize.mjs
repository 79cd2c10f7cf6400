// Runs export/web/tokenizer.js on texts from stdin, see test_device_tokenizers:
//     node tokenize.mjs VOCABULARY tokenize
//     node tokenize.mjs VOCABULARY pack MAX_LENGTH TRUNCATE
//     node tokenize.mjs LABELS labels
import { readFileSync } from "node:fs";
import { AlbertTokenizer, parseLabels } from "../../../export/web/tokenizer.js";

const [path, verb, maxLength, truncate] = process.argv.slice(2);

function* texts() {
  const input = readFileSync(0);
  for (let at = 0; at < input.length; ) {
    const length = input.readInt32BE(at);
    at += 4;
    if (length < 0) {
      yield null;
      continue;
    }
    const units = Buffer.from(input.subarray(at, at + 2 * length)).swap16();
    at += 2 * length;
    yield units.toString("utf16le");
  }
}

if (verb === "labels") {
  console.log(parseLabels(readFileSync(path, "utf8")).join("|"));
} else {
  let tokenizer;
  try {
    tokenizer = new AlbertTokenizer(readFileSync(path));
  } catch (error) {
    console.log(error.message);
    process.exit(3);
  }
  const lines = [];
  const input = texts();
  for (const text of input) {
    if (verb === "tokenize") {
      lines.push(tokenizer.tokenize(text).join(" "));
      continue;
    }
    const options = { maxLength: Number(maxLength), truncate };
    try {
      const packed = tokenizer.pack(text, input.next().value, options);
      const { tokenIds, segmentIds, paddingMask } = packed;
      const rows = [tokenIds, segmentIds, paddingMask];
      lines.push(rows.map((row) => row.join(" ")).join("|"));
    } catch (error) {
      lines.push(error.message);
    }
  }
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}
