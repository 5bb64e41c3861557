// Tests a page of chimle-show in Chromium as a user would operate it, and reports what is wrong.
//
//   CHROMIUM=/usr/bin/chromium node check.mjs PAGE.html
//
// The first input of the page must have at least three samples and a truth. If SCREENSHOTS names a
// folder, screenshots of the page are written there.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const path = resolve(process.argv[2]);
const html = await readFile(path, "utf8");
const outlines = embedded("outlines");
const first = { ...outlines[0], ...embedded("images-0") };
const downloads = await mkdtemp(join(tmpdir(), "chimle-show-"));
const problems = [];

/** Returns the content of the script element with this id. */
function embedded(id) {
  return JSON.parse(html.match(new RegExp(`id="${id}">(.*?)</script>`, "s"))[1]);
}

const pngOf = (uri) => Buffer.from(uri.slice(uri.indexOf(",") + 1), "base64");

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  // On a machine without a mouse, Chromium must be told that there is one.
  args: ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb",
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4"],
});

async function open({ width = 1440, height = 900, scheme = "light", touch = false } = {}) {
  const page = await browser.newPage();
  const phone = touch ? { isMobile: true, hasTouch: true, deviceScaleFactor: 2 } : {};
  await page.setViewport({ width, height, ...phone });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  page.on("console", (message) => problems.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("request", (request) => {
    if (!/^(file|data|blob):/.test(request.url())) problems.push(`request: ${request.url()}`);
  });
  await page.goto(pathToFileURL(path).href);
  await page.waitForSelector("#inputs .input .stage img[src]");
  await settled(page);
  return page;
}

/** Waits until the images in view are decoded. */
const settled = (page) => page.evaluate(async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const loading = [...document.images].filter((image) => image.src && !image.complete);
  await Promise.all(loading.map((image) => new Promise((done) => image.addEventListener("load", done))));
});

const text = (page, selector) => page.$eval(selector, (element) => element.textContent.trim());
const count = (page, selector) => page.$$eval(selector, (elements) => elements.filter((one) => one.checkVisibility()).length);
const attribute = (page, selector, name) => page.$eval(selector, (element, name) => element.getAttribute(name), name);
const isOpen = (page) => page.$eval("#large", (dialog) => dialog.open);
const focused = (page) => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent.trim());

/** Returns the bytes of the downloaded file `name`. */
async function downloaded(page, name, act) {
  const session = await page.createCDPSession();
  await session.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: downloads });
  await act();
  for (let tries = 0; tries < 100; tries += 1) {
    if ((await readdir(downloads)).includes(name)) {
      const bytes = await readFile(join(downloads, name));
      await rm(join(downloads, name));
      return bytes;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`no download of ${name}, only ${await readdir(downloads)}`);
}

const stage = "#inputs .input:first-child .stage";
const tile = (image) => `#inputs .input:first-child .strip li:nth-child(${image + 1}) .tile`;
const stageUrl = (page) => attribute(page, `${stage} img`, "src");

const checks = {
  async "everything is there"(page) {
    assert.equal(await count(page, "#inputs .input"), outlines.length);
    const tiles = outlines.reduce((sum, { samples }) => sum + 1 + samples, 0);
    assert.equal(await count(page, "#inputs .tile"), tiles);
    assert.equal(await text(page, ".input h2"), first.name);
    for (const part of ["#curves svg.plot", "#measures tbody tr", "#settings dd"]) {
      assert.ok(await count(page, part) > 0, part);
    }
    assert.equal(await page.title(), await text(page, "h1"));
    const unnamed = await page.$$eval("button", (all) => all.filter((button) =>
      button.checkVisibility() && !button.ariaHidden && !(button.ariaLabel || button.textContent.trim())).length);
    assert.equal(unnamed, 0, "a button without a name");
    assert.match(await attribute(page, `${stage} img`, "alt"), /^Sample 1 of \d+, /);
  },

  async "the page never scrolls sideways"(page) {
    for (const width of [320, 360, 768, 1440, 2200]) {
      await page.setViewport({ width, height: 800 });
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${over} px over at ${width}`);
    }
  },

  async "pointing at a sample shows it on the stage, in place"(page) {
    const box = () => page.$eval(`${stage} img`, (image) => JSON.stringify(image.getBoundingClientRect()));
    const urls = new Set();
    const boxes = new Set();
    for (const image of [0, 1, 2, 3]) {
      await page.hover(tile(image));
      assert.equal(await stageUrl(page), await attribute(page, `${tile(image)} img`, "src"));
      urls.add(await stageUrl(page));
      boxes.add(await box());
    }
    assert.deepEqual([urls.size, boxes.size], [4, 1]);
    assert.equal(await text(page, `${stage} .caption`), `Sample 3 of ${first.samples.length}`);
  },

  async "small images are enlarged in squares, by a whole factor"(page) {
    const { natural, shown, rendering } = await page.$eval(`${stage} img`, (image) => ({
      natural: image.naturalWidth,
      shown: image.clientWidth,
      rendering: getComputedStyle(image).imageRendering,
    }));
    if (natural > 128) return;
    assert.equal(rendering, "pixelated");
    assert.equal(shown % natural, 0);
  },

  async "a click opens the large view, arrows go on, Escape closes"(page) {
    await page.click(tile(2));
    assert.ok(await isOpen(page));
    assert.match(await text(page, "#large-caption"), /^Sample 2 of/);
    const before = await attribute(page, "#large .picture img", "src");
    await page.keyboard.press("ArrowRight");
    assert.match(await text(page, "#large-caption"), /^Sample 3 of/);
    assert.notEqual(await attribute(page, "#large .picture img", "src"), before);
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ArrowLeft");
    assert.match(await text(page, "#large-caption"), /^Sample 1 of/);
    await page.click("#large .forth");
    assert.equal(await attribute(page, "#large .picture img", "src"), before);
    await page.keyboard.press("End");
    assert.match(await text(page, "#large-caption"), new RegExp(`^Sample ${first.samples.length} of`));
    await page.keyboard.press("Escape");
    assert.equal(await isOpen(page), false);
    assert.equal(await focused(page), `Sample ${first.samples.length} of ${first.samples.length}`);
  },

  async "the truth is hidden until asked for"(page) {
    const truth = tile(1 + first.samples.length);
    const reveal = "#inputs .input:first-child .reveal";
    assert.equal(await count(page, truth), 0);
    assert.equal(await attribute(page, `${truth} img`, "src"), null);
    await page.click(reveal);
    await settled(page);
    assert.equal(await count(page, truth), 1);
    assert.match(await text(page, `${stage} .caption`), /^Truth/);
    assert.equal(await attribute(page, reveal, "aria-pressed"), "true");
    await page.keyboard.press("t");
    assert.equal(await count(page, truth), 0);
    assert.equal(await text(page, `${stage} .caption`), `Sample 1 of ${first.samples.length}`);
    await page.click("#reveal-all");
    const all = outlines.reduce((sum, { samples, truths }) => sum + 1 + samples + truths, 0);
    assert.equal(await count(page, "#inputs .tile"), all);
    await page.click("#reveal-all");
    assert.equal(await count(page, truth), 0);
  },

  async "a favorite is kept, and saved with its own bytes"(page) {
    await page.hover(tile(2));
    await page.keyboard.press("f");
    assert.equal(await text(page, "#save-all"), "Save 1 favorite");
    await page.reload();
    await page.waitForSelector(`${tile(2)} img[src]`);
    assert.equal(await text(page, "#save-all"), "Save 1 favorite");
    assert.equal(await count(page, "#inputs li.marked"), 1);
    const name = await page.evaluate(() => inputs[0].fileName(2));
    assert.match(name, /^[\p{L}\p{N}.-]+-sample-2\.png$/u);
    const one = await downloaded(page, name, () => page.click("#save-all"));
    assert.deepEqual(one, pngOf(first.samples[1]));
    await page.hover(tile(3));
    const other = await downloaded(page, name.replace("sample-2", "sample-3"), () => page.keyboard.press("s"));
    assert.deepEqual(other, pngOf(first.samples[2]));

    await page.click(`#inputs .input:first-child .strip li:nth-child(4) .mark`);
    assert.equal(await text(page, "#save-all"), "Save 2 favorites");
    const zipName = await page.evaluate(() => `${fileName(title, "favorites")}.zip`);
    const archive = await downloaded(page, zipName, () => page.click("#save-all"));
    for (const image of [1, 2]) assert.ok(archive.includes(pngOf(first.samples[image])));
    assert.equal(archive.readUInt32LE(archive.length - 22), 0x06054b50);
    assert.equal(archive.readUInt16LE(archive.length - 12), 2);
    await page.hover(tile(2));
    await page.keyboard.press("f");
    await page.hover(tile(3));
    await page.keyboard.press("f");
    assert.equal(await attribute(page, "#save-all", "disabled"), "");
  },

  async "the keyboard alone is enough"(page) {
    const reach = async (name) => {
      for (let presses = 0; presses < 40; presses += 1) {
        await page.keyboard.press("Tab");
        if ((await focused(page)).startsWith(name)) return;
      }
      throw new Error(`Tab does not reach ${name}`);
    };
    await reach("Sample 1");
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement.querySelector("img")).outlineStyle);
    assert.equal(outline, "solid");
    await page.keyboard.press("ArrowRight");
    assert.match(await focused(page), /^Sample 2/);
    assert.equal(await text(page, `${stage} .caption`), `Sample 2 of ${first.samples.length}`);
    await page.keyboard.press("f");
    assert.match(await focused(page), /, favorite$/);
    await page.keyboard.press("Enter");
    assert.ok(await isOpen(page));
    await page.keyboard.press("f");
    assert.equal(await attribute(page, "#large .mark", "aria-pressed"), "false");
    await reach("Close");
    await page.keyboard.press("Enter");
    assert.equal(await isOpen(page), false);
    await reach("Show the truth");
    await page.keyboard.press("Space");
    assert.match(await text(page, `${stage} .caption`), /^Truth/);
  },

  async "it works where the browser keeps nothing"(page) {
    await page.evaluateOnNewDocument(() => {
      Object.defineProperty(window, "localStorage", { get() { throw new DOMException("denied", "SecurityError"); } });
    });
    await page.reload();
    await page.waitForSelector(`${tile(1)} img[src]`);
    await page.hover(tile(1));
    await page.keyboard.press("f");
    assert.equal(await text(page, "#save-all"), "Save 1 favorite");
  },
};

const touchChecks = {
  async "a finger sliding over the samples shows them, a tap on the stage opens it"(page) {
    const at = async (selector) => {
      const box = await (await page.$(selector)).boundingBox();
      return [box.x + box.width / 2, box.y + box.height / 2];
    };
    // The finger moves in steps and rests at the end. Otherwise Chromium takes the next tap for the end
    // of a fling.
    const slide = async ([fromX, fromY], [toX, toY]) => {
      await page.touchscreen.touchStart(fromX, fromY);
      for (let step = 1; step <= 8; step += 1) {
        await page.touchscreen.touchMove(fromX + (toX - fromX) * step / 8, fromY + (toY - fromY) * step / 8);
      }
      await new Promise((done) => setTimeout(done, 300));
      await page.touchscreen.touchEnd();
    };
    await page.tap(tile(1));
    assert.equal(await isOpen(page), false);
    await slide(await at(tile(1)), await at(tile(2)));
    assert.match(await text(page, `${stage} .caption`), /^Sample 2/);
    const [x, y] = await at(`${stage} .picture`);
    await slide([x, y], [x + 30, y]);
    assert.match(await text(page, `${stage} .caption`), /^Sample 3/);
    assert.equal(await isOpen(page), false);
    await page.tap(`${stage} .picture`);
    await page.waitForSelector("#large[open]", { timeout: 2000 });
  },
};

async function screenshots(folder) {
  await mkdir(folder, { recursive: true });
  for (const [width, height, touch] of [[360, 740, true], [1440, 900, false]]) {
    for (const scheme of ["light", "dark"]) {
      const page = await open({ width, height, scheme, touch });
      const shot = async (name, options = {}) => {
        await settled(page);
        await page.screenshot({ path: join(folder, `${width}-${scheme}-${name}.png`), ...options });
      };
      await page.evaluate(() => {
        for (const input of inputs) input.load();
        inputs[0].show(3);
        inputs[0].mark(2);
      });
      await shot("top");
      await page.evaluate(() => inputs[0].setRevealed(true));
      await shot("whole", { fullPage: true });
      await page.evaluate(() => inputs[0].enlarge());
      await shot("large");
      await page.evaluate(() => {
        inputs[0].mark(2);
        large.close();
      });
      await page.close();
    }
  }
}

let failed = 0;
for (const [set, options] of [[checks, {}], [touchChecks, { width: 360, height: 740, touch: true }]]) {
  for (const [name, check] of Object.entries(set)) {
    const page = await open(options);
    try {
      await check(page);
      console.log(`ok      ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}\n${error.stack}`);
    }
    await page.close();
  }
}
if (process.env.SCREENSHOTS) await screenshots(process.env.SCREENSHOTS);
await browser.close();
await rm(downloads, { recursive: true });
for (const problem of problems) console.log(`FAILED  ${problem}`);
process.exitCode = failed + problems.length > 0 ? 1 : 0;
