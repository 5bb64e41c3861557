// Many clients at once. Each one repeatedly uploads a photograph and chooses a candidate of each level.
//
//   CHIMLE=../../../../target/debug/chimle MODEL=RUN|FILE PHOTOGRAPH=FILE node load.mjs [CLIENTS] [SECONDS]
//
// Every answer must be a success or "busy". The memory of the server is printed from time to time.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const chimle = resolve(process.env.CHIMLE ?? join(here, "../../../../target/debug/chimle"));
const [clients, seconds] = [Number(process.argv[2] ?? 50), Number(process.argv[3] ?? 60)];
const photograph = await readFile(process.env.PHOTOGRAPH ?? "photograph.jpg");

const server = spawn(chimle, ["studio", "--device", "cpu", "--model", resolve(process.env.MODEL), "--port", "0", "--no-open"]);
const url = await new Promise((done) => {
  let said = "";
  server.stdout.on("data", (data) => {
    said += data;
    const found = said.match(/http:\S+/);
    if (found) done(new URL(found[0]));
  });
});
const counts = { good: 0, busy: 0, pictures: 0 };
const failures = [];

async function call(path, options) {
  for (;;) {
    const response = await fetch(`${url.origin}/api/${path}${path.includes("?") ? "&" : "?"}${url.search.slice(1)}`, options);
    const body = Buffer.from(await response.arrayBuffer());
    if (response.ok) {
      counts.good++;
      return body;
    }
    if (response.status !== 503) throw new Error(`${path}: ${response.status} ${body}`);
    assert.ok(Number(response.headers.get("retry-after")) > 0, "busy without Retry-After");
    counts.busy++;
    if (Date.now() > end) return null;
    await new Promise((done) => setTimeout(done, 200 + 800 * Math.random()));
  }
}

const json = (body) => ({ method: "POST", body: JSON.stringify(body) });
const end = Date.now() + 1000 * seconds;

async function client() {
  while (Date.now() < end) {
    const brought = await call("photographs", { method: "POST", body: photograph });
    if (!brought) return;
    const begun = await call("sessions", json({ photograph: JSON.parse(brought).id, model: 0, largest: 128 }));
    if (!begun) return;
    const session = JSON.parse(begun);
    let from = 0;
    for (let level = 0; level < session.levels && Date.now() < end; level++) {
      const lines = await call(`sessions/${session.id}/pictures`, json({ make: "continue", from, count: 4 }));
      if (!lines) break;
      const told = lines.toString().trim().split("\n").map((line) => JSON.parse(line));
      if (told.at(-1).event !== "done") throw new Error(JSON.stringify(told.at(-1)));
      counts.pictures += told.length - 1;
      from = told[0].node.id;
      await call(`sessions/${session.id}/pictures/${from}/picture.png`);
    }
    await call(`sessions/${session.id}`, { method: "DELETE" });
  }
}

async function memory() {
  const status = await readFile(`/proc/${server.pid}/status`, "utf8").catch(() => "");
  return Math.round(Number(status.match(/VmRSS:\s+(\d+)/)?.[1] ?? 0) / 1024);
}

const watch = setInterval(async () => console.log(`${await memory()} MiB`, counts), 10000);
await Promise.all([...Array(clients)].map(() => client().catch((error) => failures.push(error.message))));
clearInterval(watch);
console.log(`${clients} clients, ${seconds} s: ${counts.good} good answers, ${counts.pictures} pictures, ${counts.busy} times busy, ${await memory()} MiB`);
for (const failure of failures.slice(0, 10)) console.log(`FAILED ${failure}`);
server.kill();
process.exitCode = failures.length ? 1 : 0;
