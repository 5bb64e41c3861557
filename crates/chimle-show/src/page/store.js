"use strict";

// The images as files, the favorites, and saving.

const readJson = (id) => JSON.parse(document.getElementById(id).textContent);

/** Converts a data URI of a PNG to a file in memory. */
function fileOf(uri) {
  const text = atob(uri.slice(uri.indexOf(",") + 1));
  return new Blob([Uint8Array.from(text, (character) => character.charCodeAt(0))], { type: "image/png" });
}

/** Returns the images of input `index` (conditioning, samples and truths), each as a file and its address. */
function readImages(index) {
  const { conditioning, samples, truths } = readJson(`images-${index}`);
  document.getElementById(`images-${index}`).remove();
  return [conditioning, ...samples, ...truths].map((uri) => {
    const file = fileOf(uri);
    return { file, url: URL.createObjectURL(file) };
  });
}

/** The favorites as `input:sample`, stored by the browser if it allows that. */
const favorites = {
  key: `chimle-show ${document.body.dataset.run}`,
  marked: new Set(),

  load() {
    try {
      this.marked = new Set(JSON.parse(localStorage.getItem(this.key) ?? "[]"));
    } catch {
      // The favorites then last only until the page is closed.
    }
  },

  toggle(input, sample) {
    const name = `${input}:${sample}`;
    if (!this.marked.delete(name)) this.marked.add(name);
    try {
      localStorage.setItem(this.key, JSON.stringify([...this.marked]));
    } catch {
      // Storing is not allowed: see above.
    }
  },

  has(input, sample) {
    return this.marked.has(`${input}:${sample}`);
  },
};

/** Keeps letters and digits of any script, and replaces everything else by single hyphens. */
const fileName = (...parts) =>
  parts
    .map((part) => part.normalize("NFC").replace(/[^\p{L}\p{N}.]+/gu, "-").replace(/^[-.]+|[-.]+$/g, "").slice(0, 80))
    .filter(Boolean)
    .join("-");

function download(file, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit += 1) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Encodes little-endian numbers, given as pairs of a value and its size in bytes. */
function numbers(...pairs) {
  return Uint8Array.from(pairs.flatMap(([value, size]) =>
    Array.from({ length: size }, (_, byte) => (value >>> (8 * byte)) & 255)));
}

/** Creates one ZIP file of `entries`, {name, file}. They are stored without compression, because PNG is already compressed. */
async function zip(entries) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, file } of entries) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const title = new TextEncoder().encode(name);
    // Version 2.0, names in UTF-8, no compression, 1 January 1980.
    const shared = numbers([20, 2], [0x800, 2], [0, 2], [0, 2], [33, 2],
      [crc32(bytes), 4], [bytes.length, 4], [bytes.length, 4], [title.length, 2], [0, 2]);
    parts.push(numbers([0x04034b50, 4]), shared, title, bytes);
    directory.push(numbers([0x02014b50, 4], [20, 2]), shared,
      numbers([0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]), title);
    offset += 4 + shared.length + title.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = numbers([0x06054b50, 4], [0, 2], [0, 2], [entries.length, 2], [entries.length, 2],
    [size, 4], [offset, 4], [0, 2]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

