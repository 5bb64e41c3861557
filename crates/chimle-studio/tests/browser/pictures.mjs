// Makes the picture of the studio for the documentation, and the frames of its film.
//
//   CHIMLE=../../../../target/release/chimle MODEL=NAME|RUN|FILE PHOTOGRAPH=FILE OUT=DIR node pictures.mjs
//
// Without PHOTOGRAPH, the page's example is used. OUT then has `studio.png` and `frame-*.png`. The film is the frames,
// scaled to a width of 720 pixels, for 1.4 seconds each, in any program that makes a GIF.

import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "./chromium.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const chimle = resolve(process.env.CHIMLE ?? join(here, "../../../../target/release/chimle"));
const out = resolve(process.env.OUT ?? "pictures");
await mkdir(out, { recursive: true });
const model = process.env.MODEL ?? "scenes-colorization-64";
const server = spawn(chimle, ["studio", "--device", "cpu", "--model", model, "--port", "0", "--no-open"]);
const url = await new Promise((done, failed) => {
  let said = "";
  server.stdout.on("data", (data) => {
    said += data;
    const found = said.match(/http:\S+/);
    if (found) done(found[0]);
  });
  server.once("exit", () => failed(new Error(said)));
});
const browser = await launch();
try {
  const page = await browser.page({ width: 1200, height: 750 });
  const idle = "!state.work && document.querySelectorAll('.waiting').length === 0";
  let frames = 0;
  const frame = async () => {
    // The pictures fade in.
    await new Promise((done) => setTimeout(done, 400));
    const name = `frame-${String(frames++).padStart(2, "0")}.png`;
    await writeFile(join(out, name), await page.screenshot());
  };
  const choose = async (level, number) => {
    await page.click(`#rows > section:nth-child(${level}) .thumb:nth-child(${number})`);
    await page.until(idle);
    await page.run("scrollTo(0, 0)");
    await frame();
  };
  await page.goto(url);
  await page.until("!document.getElementById('start').hidden");
  if (process.env.PHOTOGRAPH) await page.files("#file", [resolve(process.env.PHOTOGRAPH)]);
  else await page.click("#example");
  await page.until("!document.getElementById('begin').disabled");
  await frame();
  await page.click("#begin");
  await page.until(`state.pictures.length === 9 && ${idle}`);
  await frame();
  const levels = await page.run("state.session.levels");
  for (let level = 1; level <= levels; level++) await choose(level, 1 + (5 * level + 2) % 8);
  await page.click("#favorite");
  await page.click("#brush");
  await page.drag("#mask", [[0.15, 0.2], [0.4, 0.25], [0.7, 0.2], [0.85, 0.3]]);
  await page.run("scrollTo(0, 0)");
  await frame();
  await page.click("#region-make");
  await page.until(`state.pictures.filter((one) => one.kind === "region").length === 6 && ${idle}`);
  await page.run("scrollTo(0, 0)");
  await frame();
  await page.run("byId('tone-tool').open = true");
  await page.click("#tone-make");
  await page.until(`state.pictures.filter((one) => one.kind === "tone").length === 6 && ${idle}`);
  await page.click("#compare");
  await page.run("scrollTo(0, 0)");
  await frame();
  await writeFile(join(out, "studio.png"), await page.screenshot());
} finally {
  await browser.close();
  server.kill();
}
