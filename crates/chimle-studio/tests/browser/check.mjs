// Uses the studio in Chromium as a person would, and reports what fails.
//
//   npm ci                                        # axe-core
//   CHIMLE=../../../../target/debug/chimle MODEL=RUN|FILE PHOTOGRAPH=FILE node check.mjs
//
// The model must color photographs. The photograph should be larger than 300 pixels. If SCREENSHOTS names
// a folder, screenshots of the page are written there.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "./chromium.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const chimle = resolve(process.env.CHIMLE ?? join(here, "../../../../target/debug/chimle"));
const model = resolve(process.env.MODEL ?? "model.safetensors");
const photograph = resolve(process.env.PHOTOGRAPH ?? "photograph.jpg");
const axe = await readFile(join(here, "node_modules/axe-core/axe.min.js"), "utf8");
const folder = await mkdtemp(join(tmpdir(), "chimle-studio-check-"));

/** Starts the studio and returns its address. */
async function serve(models = [model]) {
  const named = models.flatMap((one) => ["--model", one]);
  const child = spawn(chimle, ["studio", "--device", "cpu", ...named, "--port", "0", "--no-open"]);
  let said = "";
  const url = await new Promise((done, failed) => {
    child.stdout.on("data", (data) => {
      said += data;
      const found = said.match(/http:\S+/);
      if (found) done(found[0]);
    });
    child.stderr.on("data", (data) => { said += data; });
    child.once("exit", () => failed(new Error(said)));
  });
  return { url, stop: () => new Promise((done) => { child.once("exit", done); child.kill(); }) };
}

const browser = await launch();
let studio = await serve();
const files = async (pattern) => (await readdir(folder)).filter((name) => pattern.test(name) && !name.endsWith(".crdownload"));

async function downloaded(pattern, seconds = 20) {
  for (let tries = 0; tries < 20 * seconds; tries++) {
    const [name] = await files(pattern);
    if (name) return join(folder, name);
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`nothing was saved that is called ${pattern}`);
}

const idle = "!state.work && document.querySelectorAll('.waiting').length === 0";
const row = (n) => `#rows > section:nth-child(${n})`;
const candidates = (n) => `document.querySelectorAll('${row(n)} .thumb[data-id]').length`;

async function open(options, url = studio.url) {
  const page = await browser.page(options);
  await page.downloads(folder);
  await page.goto(url);
  await page.until("!document.getElementById('start').hidden");
  return page;
}

async function begin(page) {
  await page.files("#file", [photograph]);
  await page.until("!document.getElementById('begin').disabled");
  await page.click("#begin");
  await page.until(`${candidates(1)} === 8 && ${idle}`);
}

/** Chooses a candidate of each level. */
async function finish(page) {
  const levels = await page.run("state.session.levels");
  for (let level = 1; level <= levels; level++) {
    await page.click(`${row(level)} .thumb:nth-child(${1 + level % 3})`);
    if (level < levels) await page.until(`${candidates(level + 1)} === 8 && ${idle}`);
  }
  assert.equal(await page.run("state.pictures[state.chosen].level"), levels);
}

async function accessible(page, what) {
  await page.run(`${axe}; return true;`);
  const violations = await page.run(`const found = await axe.run(document, { resultTypes: ["violations"] });
    return found.violations.map(({ id, nodes }) => id + ": " + nodes.slice(0, 3).map((node) => node.html.slice(0, 160) + " " + node.failureSummary.slice(0, 200)).join(" | "));`);
  assert.deepEqual(violations, [], what);
}

async function picture(page, name) {
  if (!process.env.SCREENSHOTS) return;
  await mkdir(process.env.SCREENSHOTS, { recursive: true });
  await new Promise((done) => setTimeout(done, 250));
  await writeFile(join(process.env.SCREENSHOTS, `${name}.png`), await page.screenshot());
}

const overflows = "document.documentElement.scrollWidth > document.documentElement.clientWidth";

const checks = {
  async "from the photograph to the saved picture, and the same from its recipe by the command"() {
    const page = await open();
    await accessible(page, "the start");
    await begin(page);
    const requests = await page.run("performance.getEntriesByType('resource').length");
    await finish(page);
    assert.ok(requests > 0);
    await page.click("#save-picture");
    const saved = await downloaded(/^picture-.*png$/);
    await page.click("#save-recipe");
    const recipe = await downloaded(/^recipe-.*json$/);
    const out = join(folder, "again");
    execFileSync(chimle, ["sample", "--device", "cpu", "--model", model, "--input", photograph, "--recipe", recipe, "--out", out]);
    const [again] = await readdir(out);
    const bits = (path) => readFile(path);
    assert.deepEqual(await pixels(page, await bits(saved)), await pixels(page, await bits(join(out, again))));
    await accessible(page, "the work");
    await page.click("#favorite");
    await page.click("#save-sheet");
    await downloaded(/^sheet.*png$/);
    await page.click("#save-film");
    assert.equal((await readFile(await downloaded(/^film.*gif$/))).subarray(0, 3).toString(), "GIF");
    await end(page);
  },

  async "a region changes, and nothing else does"() {
    const page = await open();
    await begin(page);
    await finish(page);
    const before = await page.run("state.chosen");
    await page.click("#brush");
    await page.drag("#mask", [[0.3, 0.3], [0.5, 0.4], [0.6, 0.5]]);
    await picture(page, "region");
    await page.run("window.expected = regionRuns(); return true;");
    await page.click("#region-make");
    await page.until(`state.pictures.filter((one) => one.kind === "region").length === 6 && ${idle}`);
    const [outside, inside] = await page.run(`
      const data = async (id) => {
        const image = new Image();
        image.src = pictureUrl(id);
        await image.decode();
        const { width, height } = state.session;
        const canvas = Object.assign(document.createElement("canvas"), { width, height });
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        return context.getImageData(0, 0, width, height).data;
      };
      const [old, now] = [await data(${before}), await data(state.chosen)];
      const changed = [0, 0];
      let at = 0;
      expected.runs.forEach((run, index) => {
        for (let end = at + run; at < end; at++) {
          if ([0, 1, 2].some((channel) => old[4 * at + channel] !== now[4 * at + channel])) changed[index % 2]++;
        }
      });
      return changed;`);
    assert.equal(outside, 0);
    assert.ok(inside > 100, `${inside} pixels changed`);
    assert.equal(await page.run("state.pictures[state.chosen].kind"), "region");
    // Undo, and redo.
    await page.click("#undo");
    assert.equal(await page.run("state.chosen"), before);
    await page.click("#redo");
    assert.notEqual(await page.run("state.chosen"), before);
    // A picture with a region also has a recipe.
    for (const name of await files(/^(picture|recipe)-/)) await rm(join(folder, name));
    await page.click("#save-picture");
    const saved = await downloaded(/^picture-.*png$/);
    await page.click("#save-recipe");
    const recipe = await downloaded(/^recipe-.*json$/);
    const out = join(folder, "region");
    execFileSync(chimle, ["sample", "--device", "cpu", "--model", model, "--input", photograph, "--recipe", recipe, "--out", out]);
    const [again] = await readdir(out);
    assert.deepEqual(await pixels(page, await readFile(saved)), await pixels(page, await readFile(join(out, again))));
    await end(page);
  },

  async "tone, texture, combinations, ways, likes and the nearest"() {
    const page = await open({ width: 1920, height: 1080, scheme: "dark" });
    await begin(page);
    await finish(page);
    const kinds = (kind) => `state.pictures.filter((one) => one.kind === "${kind}").length`;
    for (const tool of ["tone", "between", "like", "nearest"]) await page.run(`byId("${tool}-tool").open = true`);
    const first = await page.run("state.chosen");
    await page.click("#set-from");
    await page.click("#tone-make");
    await page.until(`${kinds("tone")} === 6 && ${idle}`);
    assert.notEqual(await page.run("state.chosen"), first);
    await page.click("#set-to");
    await page.click("#like");
    await page.click("#texture-make");
    await page.until(`${kinds("texture")} === 6 && ${idle}`);
    await page.click("#unlike");
    await page.run(`const select = byId("parts-with"); select.value = "${first}"; select.dispatchEvent(new Event("change", { bubbles: true })); return true;`);
    await page.click("#parts-make");
    await page.until(`${kinds("parts")} === 1 && ${idle}`);
    await page.click("#between-make");
    await page.until(`${kinds("between")} === 7 && ${idle}`);
    await page.run(`const slider = byId("between-slider"); slider.value = 4; slider.dispatchEvent(new Event("input", { bubbles: true })); return true;`);
    assert.equal(await page.run("state.pictures[state.chosen].kind"), "between");
    await page.click("#like-make");
    await page.until(`${kinds("like")} === 8 && ${idle}`);
    await page.files("#reference-file", [photograph]);
    await page.until("!byId('nearest-make').disabled");
    await page.click("#nearest-make");
    await page.until(`${kinds("nearest")} === state.session.levels && ${idle}`);
    assert.ok(await page.run("state.pictures[state.chosen].distance > 0"));
    await page.click("#compare");
    await picture(page, "wide-dark");
    await accessible(page, "all tools");
    await end(page);
  },

  async "with the keyboard alone"() {
    const page = await open();
    await page.files("#file", [photograph]);
    await page.until("!document.getElementById('begin').disabled");
    const focused = () => page.run("document.activeElement.id || document.activeElement.className");
    for (let tries = 0; tries < 30 && await focused() !== "begin"; tries++) await page.key("Tab");
    assert.equal(await focused(), "begin");
    await page.key("Enter");
    await page.until(`${candidates(1)} === 8 && ${idle}`);
    for (let tries = 0; tries < 30 && !/thumb/.test(await focused()); tries++) await page.key("Tab");
    const levels = await page.run("state.session.levels");
    for (let level = 1; level <= levels; level++) {
      await page.key("ArrowRight");
      await page.key("Enter");
      if (level < levels) {
        await page.until(`${candidates(level + 1)} === 8 && ${idle}`);
        await page.key("ArrowDown");
      }
    }
    assert.equal(await page.run("state.pictures[state.chosen].level"), levels);
    await page.key("f");
    assert.equal(await page.run("state.favorites.length"), 1);
    await page.key("z", 2);
    assert.equal(await page.run("state.favorites.length"), 0);
    await page.key("y", 2);
    assert.equal(await page.run("state.favorites.length"), 1);
    await page.key("b");
    assert.equal(await page.run("state.pictures[state.chosen].level"), levels - 1);
    await page.key("m");
    await page.until(`${candidates(levels)} === 16 && ${idle}`);
    await page.run("byId('brush').focus()");
    await page.key("Enter");
    await page.run("byId('mask').focus()");
    for (const key of ["ArrowRight", " ", "ArrowDown", " "]) await page.key(key);
    assert.ok(await page.run("regionRuns().runs.length > 2"));
    await page.run("document.querySelector('#tree [role=treeitem][tabindex=\"0\"]').focus()");
    await page.key("ArrowUp");
    await page.key("Enter");
    assert.equal(await page.run("state.pictures[state.chosen].level"), levels - 2);
    await end(page);
  },

  async "a recipe is opened with its photograph, and its picture is continued"() {
    const page = await open();
    await begin(page);
    await finish(page);
    await page.click("#brush");
    await page.drag("#mask", [[0.4, 0.4], [0.6, 0.5]]);
    await page.click("#region-make");
    await page.until(`state.pictures.filter((one) => one.kind === "region").length === 6 && ${idle}`);
    await page.click("#save-recipe");
    const recipe = await downloaded(/^recipe-.*json$/);
    const shown = (page) => page.run(`
      const answer = await fetch(pictureUrl(state.chosen));
      const hash = await crypto.subtle.digest("SHA-256", await answer.arrayBuffer());
      return [...new Uint8Array(hash)].join();`);
    const expected = await shown(page);
    const levels = await page.run("state.session.levels");
    await end(page);

    // The recipe first. A wrong photograph is one clear error, and the right one opens the recipe.
    const other = await open();
    await other.files("#recipe-file", [recipe]);
    await other.until("!byId('recipe').hidden");
    await accessible(other, "a recipe waits for its photograph");
    await picture(other, "recipe");
    const one = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVQI12P4z8AAAAMBAQAY3Y2wAAAAAElFTkSuQmCC", "base64");
    await writeFile(join(folder, "one.png"), one);
    await other.files("#file", [join(folder, "one.png")]);
    await other.until("!byId('notice').hidden");
    assert.match(await other.run("byId('notice-text').textContent"), /^recipe: .* another input/);
    other.problems.splice(0, other.problems.length, ...other.problems.filter((one) => !/status of 422/.test(one)));
    await other.files("#file", [photograph]);
    await other.until(`state.session !== null && ${idle}`);
    assert.ok(await other.run("byId('notice').hidden"));
    assert.equal(await other.run("state.pictures[state.chosen].kind"), "region");
    assert.equal(await other.run("document.querySelectorAll('#tree [role=treeitem]').length"), levels + 2);
    assert.equal(await shown(other), expected);
    // The person goes on: more candidates of the first level, another branch, and back by undo.
    await other.click(`${row(1)} .row-head button`);
    await other.until(`${candidates(1)} === 9 && ${idle}`);
    await other.click(`${row(1)} .thumb:nth-child(3)`);
    await other.until(`${candidates(2)} === 8 && ${idle}`);
    await other.click("#undo");
    assert.equal(await shown(other), expected);
    await end(other);

    // Both files at once, dropped on the page of another session. Then a file that is no recipe.
    const third = await open();
    await begin(third);
    const text = JSON.stringify((await readFile(recipe)).toString());
    const bytes = (await readFile(photograph)).toString("base64");
    await third.run(`
      const bytes = Uint8Array.from(atob("${bytes}"), (one) => one.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([${text}], "mine.json", { type: "application/json" }));
      data.items.add(new File([bytes], "photograph"));
      dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
      return true;`);
    await third.until(`state.session !== null && state.pictures.length === ${levels + 2} && ${idle}`);
    assert.equal(await shown(third), expected);
    await third.click("#again");
    await writeFile(join(folder, "none.json"), "{\"layers\": 1}");
    await third.files("#recipe-file", [join(folder, "none.json")]);
    await third.until("!byId('notice').hidden");
    assert.match(await third.run("byId('notice-text').textContent"), /none.json is not a recipe/);
    await end(third);
  },

  async "large photographs of other tasks: a small preview, and the full size in tiles"() {
    const runs = ["super-resolution", "decompression"].map((task) => {
      const out = join(folder, task);
      execFileSync(chimle, ["train", "--device", "cpu", "--task", task, "--preset", "tiny", "--data", "procedural", "--size", "32", "--steps", "0", "--out", out]);
      return out;
    });
    const others = await serve(runs);
    const page = await open({}, others.url);
    const large = await page.run(`
      const canvas = Object.assign(document.createElement("canvas"), { width: 1500, height: 1000 });
      const context = canvas.getContext("2d");
      for (let at = 0; at < 600; at++) {
        context.fillStyle = "hsl(" + at * 37 % 360 + " 60% " + (20 + at % 60) + "%)";
        context.fillRect(at * 197 % 1500, at * 89 % 1000, 90, 60);
      }
      return canvas.toDataURL("image/png").split(",")[1];`);
    await writeFile(join(folder, "large.png"), Buffer.from(large, "base64"));
    const size = async (file) => (await pixels(page, await readFile(file))).slice(0, 2);
    for (const [index, degrade, expected] of [[0, true, [1496, 1000]], [1, false, [1500, 1000]]]) {
      await page.files("#file", [join(folder, "large.png")]);
      await page.until("!byId('begin').disabled");
      await page.click(`#models .card:nth-child(${index + 1})`);
      assert.equal(await page.run("byId('degrade').checked"), degrade);
      await page.click("#begin");
      await page.until(`${candidates(1)} === 8 && ${idle}`);
      assert.ok(await page.run("state.session.width <= 256"));
      await finish(page);
      // Progress is shown, and the work can be canceled.
      await page.click("#save-picture");
      await page.until("byId('progress').value > 0");
      await page.click("#cancel");
      await page.until("!state.work && byId('progress-row').hidden");
      assert.deepEqual(await files(/^picture-/), []);
      await page.click("#save-picture");
      const saved = await downloaded(/^picture-.*png$/, 120);
      assert.deepEqual(await size(saved), expected);
      await page.click("#save-recipe");
      const recipe = await downloaded(/^recipe-.*json$/);
      const out = join(folder, "again");
      execFileSync(chimle, ["sample", "--device", "cpu", "--model", runs[index], "--input", join(folder, "large.png"), "--recipe", recipe, "--out", out]);
      const [again] = await readdir(out);
      assert.deepEqual(await pixels(page, await readFile(saved)), await pixels(page, await readFile(join(out, again))));
      for (const name of [saved, recipe, out]) await rm(name, { recursive: true });
      await page.click("#again");
    }
    await end(page);
    await others.stop();
  },

  async "on a phone, in the light and in the dark"() {
    for (const scheme of ["light", "dark"]) {
      const page = await open({ width: 390, height: 844, scheme, touch: true, scale: 2 });
      await picture(page, `phone-${scheme}-start`);
      assert.ok(!await page.run(overflows), "the start is too wide");
      await begin(page);
      await finish(page);
      assert.ok(!await page.run(overflows), "the work is too wide");
      await accessible(page, `a phone, ${scheme}`);
      await page.run("scrollTo(0, 0)");
      await picture(page, `phone-${scheme}`);
      await end(page);
    }
    const page = await open({ width: 320, height: 640, touch: true });
    await begin(page);
    assert.ok(!await page.run(overflows), "320 pixels are too few");
    await end(page);
  },

  async "files that are no photographs"() {
    const page = await open();
    const bad = {
      "text.jpg": "this is no image",
      "empty.png": "",
      "huge.png": Buffer.concat([Buffer.from("89504e470d0a1a0a0000000d49484452", "hex"), Buffer.from("0000c3500000c350080200000000000000", "hex")]),
    };
    for (const [name, content] of Object.entries(bad)) {
      await writeFile(join(folder, name), content);
      await page.files("#file", [join(folder, name)]);
      await page.until("!byId('notice').hidden");
      assert.match(await page.run("byId('notice-text').textContent"), /the photograph/, name);
      await page.click("#notice-close");
    }
    const one = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVQI12P4z8AAAAMBAQAY3Y2wAAAAAElFTkSuQmCC", "base64");
    await writeFile(join(folder, "one.png"), one);
    await page.files("#file", [join(folder, "one.png")]);
    await page.until("!byId('begin').disabled");
    await page.click("#begin");
    await page.until("!byId('notice').hidden");
    assert.match(await page.run("byId('notice-text').textContent"), /1x1/);
    // The browser itself writes to its console that the server refused a request.
    page.problems.splice(0, page.problems.length, ...page.problems.filter((one) => !/status of 4\d\d/.test(one)));
    await end(page);
  },

  async "two windows at once, a reload, and a server that stops in the middle"() {
    const [one, other] = [await open(), await open()];
    await Promise.all([begin(one), begin(other)]);
    await Promise.all([finish(one), finish(other)]);
    await one.click("#favorite");
    await one.click(`${row(1)} .thumb:nth-child(5)`);
    await one.until(idle);
    await one.click("#like");
    await one.click(`${row(1)} .thumb:nth-child(6)`);
    await one.until(idle);
    await one.click("#unlike");
    await one.click("#favorite");
    // The page is loaded again at once. The choices, favorites, marks and branches are still there.
    const shown = `[state.session.id, state.chosen, state.pictures.length, state.favorites, state.liked, state.unliked,
      [...document.querySelectorAll("#tree [role=treeitem]")].map((one) => one.dataset.id)]`;
    const before = await one.run(shown);
    assert.ok(before[3].length === 2 && before[4].length === 1 && before[5].length === 1 && before[6].length === await one.run("state.session.levels") + 3);
    await one.reload();
    await one.until("state.session !== null");
    assert.deepEqual(await one.run(shown), before);
    assert.deepEqual(await other.run("state.favorites"), []);
    assert.notEqual(before[0], await other.run("state.session.id"));
    await one.click("#more, #rows > section:last-child .row-head button");
    await one.until(idle);
    await end(other);
    await studio.stop();
    await one.run("byId('rows').querySelector('.row-head button').click()");
    await one.until("!byId('notice').hidden");
    assert.match(await one.run("byId('notice-text').textContent"), /does not answer|stopped/);
    await one.close();
    studio = await serve();
  },
};

/** Returns a checksum of a PNG's pixels, as the browser decodes them. */
async function pixels(page, png) {
  return page.run(`
    const image = new Image();
    image.src = "data:image/png;base64,${png.toString("base64")}";
    await image.decode();
    const { width, height } = image;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const hash = await crypto.subtle.digest("SHA-256", data);
    return [width, height, [...new Uint8Array(hash)].join()];`);
}

async function end(page) {
  assert.deepEqual(page.problems, []);
  await page.close();
}

let failures = 0;
try {
  for (const [name, check] of Object.entries(checks)) {
    if (process.argv[2] && !name.includes(process.argv[2])) continue;
    try {
      await check();
      console.log(`ok      ${name}`);
    } catch (error) {
      failures++;
      console.log(`FAILED  ${name}\n${error.stack}`);
    }
    for (const file of await readdir(folder)) await rm(join(folder, file), { recursive: true });
  }
} finally {
  await studio.stop();
  await browser.close();
  await rm(folder, { recursive: true, force: true });
}
process.exitCode = failures ? 1 : 0;
