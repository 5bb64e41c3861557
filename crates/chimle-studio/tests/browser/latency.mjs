// Measures the time from the click to the pixels of eight candidates, at each level, in Chromium.
//
//   CHIMLE=../../../../target/release/chimle MODEL=RUN|FILE PHOTOGRAPH=FILE node latency.mjs [ROUNDS]

import { spawn } from "node:child_process";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "./chromium.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const chimle = resolve(process.env.CHIMLE ?? join(here, "../../../../target/release/chimle"));
const rounds = Number(process.argv[2] ?? 7);
const server = spawn(chimle, ["studio", "--device", "cpu", "--model", resolve(process.env.MODEL), "--port", "0", "--no-open"]);
const url = await new Promise((done) => {
  let said = "";
  server.stdout.on("data", (data) => {
    said += data;
    const found = said.match(/http:\S+/);
    if (found) done(found[0]);
  });
});
const browser = await launch();
try {
  const page = await browser.page({ width: 1280, height: 900 });
  await page.goto(url);
  await page.until("!document.getElementById('start').hidden");
  await page.files("#file", [resolve(process.env.PHOTOGRAPH)]);
  await page.until("!document.getElementById('begin').disabled");
  await page.click("#begin");
  const idle = "!state.work && document.querySelectorAll('.waiting').length === 0";
  await page.until(`state.pictures.length === 9 && ${idle}`);
  const levels = await page.run("state.session.levels");
  for (let round = 1; round <= rounds; round++) {
    for (let level = 1; level <= levels; level++) {
      const before = await page.run("state.pictures.length");
      // At level 1, more candidates are requested. At other levels, a candidate is chosen that has no continuations yet.
      if (level === 1) await page.click("#rows > section:nth-child(1) .row-head button");
      else await page.click(`#rows > section:nth-child(${level - 1}) .thumb:nth-child(${level === 2 ? round : 1})`);
      await page.until(`state.pictures.length >= ${before + 8} && ${idle}`);
    }
  }
  await new Promise((done) => setTimeout(done, 300));
  const size = await page.run("[state.session.width, state.session.height].join(' x ')");
  const measures = await page.run("performance.getEntriesByType('measure').map(({ name, duration }) => [name, duration])");
  console.log(`${size}, from the click to the pixels of eight candidates, median (least to most) of ${rounds}:`);
  for (let level = 1; level <= levels; level++) {
    const times = measures.filter(([name]) => name === `Level ${level}`).map(([, time]) => time).sort((a, b) => a - b);
    const [least, median, most] = [times[0], times[times.length >> 1], times.at(-1)].map(Math.round);
    console.log(`level ${level}: ${median} ms (${least} to ${most})`);
  }
} finally {
  await browser.close();
  server.kill();
}
