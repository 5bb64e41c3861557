// Drives Chromium over its DevTools protocol, through a pipe.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Starts a browser. `send` sends it a command, and `page` opens a page. */
export async function launch() {
  const profile = await mkdtemp(join(tmpdir(), "chimle-studio-"));
  const path = process.env.CHROMIUM ?? "/usr/bin/chromium";
  const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb",
    "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
    `--user-data-dir=${profile}`, "--remote-debugging-pipe", "about:blank"];
  const child = spawn(path, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const [, , , input, output] = child.stdio;
  const waiting = new Map();
  const listeners = new Set();
  let last = 0;
  let rest = Buffer.alloc(0);
  output.on("data", (data) => {
    rest = Buffer.concat([rest, data]);
    for (let end; (end = rest.indexOf(0)) >= 0;) {
      const message = JSON.parse(rest.subarray(0, end).toString());
      rest = rest.subarray(end + 1);
      const asked = waiting.get(message.id);
      waiting.delete(message.id);
      if (asked && message.error) asked.reject(new Error(`${asked.method}: ${message.error.message}`));
      else if (asked) asked.resolve(message.result);
      else for (const listener of listeners) listener(message);
    }
  });
  const send = (method, params = {}, sessionId) => new Promise((resolve, reject) => {
    waiting.set(++last, { resolve, reject, method });
    input.write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`);
  });
  const close = async () => {
    const ended = new Promise((done) => child.once("exit", done));
    send("Browser.close").catch(() => {});
    await Promise.race([ended, new Promise((done) => setTimeout(done, 5000))]);
    child.kill("SIGKILL");
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  return { send, close, listeners, page: (options) => openPage({ send, listeners }, options) };
}

/** A page. `problems` collects errors, messages on the console, and requests to other servers. */
async function openPage({ send, listeners }, { width = 1280, height = 900, scheme = "light", touch = false, scale = 1 } = {}) {
  const { browserContextId } = await send("Target.createBrowserContext");
  const { targetId } = await send("Target.createTarget", { url: "about:blank", browserContextId });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const call = (method, params) => send(method, params, sessionId);
  const problems = [];
  let origin = "";
  let loaded = () => {};
  listeners.add((message) => {
    if (message.sessionId !== sessionId) return;
    const { method, params } = message;
    if (method === "Page.loadEventFired") loaded();
    if (method === "Runtime.exceptionThrown") problems.push(`error: ${params.exceptionDetails.exception?.description ?? params.exceptionDetails.text}`);
    if (method === "Runtime.consoleAPICalled" && params.type !== "debug") problems.push(`console: ${params.args.map((one) => one.value ?? one.description).join(" ")}`);
    if (method === "Log.entryAdded" && params.entry.level === "error") problems.push(`log: ${params.entry.text} ${params.entry.url ?? ""}`);
    if (method === "Network.requestWillBeSent" && !/^(blob|data):/.test(params.request.url) && !params.request.url.startsWith(origin)) problems.push(`request: ${params.request.url}`);
  });
  for (const domain of ["Page", "Runtime", "Log", "Network", "DOM"]) await call(`${domain}.enable`);
  await call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: scale, mobile: touch });
  await call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
  if (touch) await call("Emulation.setTouchEmulationEnabled", { enabled: true });

  const page = {
    problems, call, sessionId,
    async goto(url) {
      origin = new URL(url).origin;
      const done = new Promise((resolve) => { loaded = resolve; });
      await call("Page.navigate", { url });
      await done;
    },
    async reload() {
      const done = new Promise((resolve) => { loaded = resolve; });
      await call("Page.reload");
      await done;
    },
    /** Evaluates an expression, or the body of an async function with `return`. */
    async run(code) {
      const expression = /\breturn\b|;/.test(code) ? `(async () => { ${code} })()` : code;
      const answer = await call("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
      if (answer.exceptionDetails) throw new Error(`${code}\n${answer.exceptionDetails.exception?.description ?? answer.exceptionDetails.text}`);
      return answer.result.value;
    },
    /** Waits until an expression is true. */
    async until(condition, milliseconds = 20000) {
      const end = Date.now() + milliseconds;
      while (Date.now() < end) {
        if (await page.run(condition)) return;
        await new Promise((done) => setTimeout(done, 40));
      }
      throw new Error(`not within ${milliseconds} ms: ${condition}`);
    },
    async boxOf(selector) {
      const box = await page.run(`const one = document.querySelector(${JSON.stringify(selector)}); if (!one) return null;
        one.scrollIntoView({ block: "center", behavior: "instant" });
        const { left, top, width, height } = one.getBoundingClientRect(); return { left, top, width, height };`);
      if (!box) throw new Error(`there is no ${selector}`);
      return box;
    },
    async mouse(type, x, y, buttons = 0) {
      await call("Input.dispatchMouseEvent", { type, x, y, button: type === "mouseMoved" ? "none" : "left", buttons, clickCount: 1 });
    },
    async click(selector) {
      const { left, top, width, height } = await page.boxOf(selector);
      const [x, y] = [left + width / 2, top + height / 2];
      await page.mouse("mouseMoved", x, y);
      await page.mouse("mousePressed", x, y, 1);
      await page.mouse("mouseReleased", x, y);
    },
    async drag(selector, points) {
      const { left, top, width, height } = await page.boxOf(selector);
      const [first, ...others] = points.map(([x, y]) => [left + x * width, top + y * height]);
      await page.mouse("mouseMoved", ...first);
      await page.mouse("mousePressed", ...first, 1);
      for (const point of others) await page.mouse("mouseMoved", ...point, 1);
      await page.mouse("mouseReleased", ...(others.at(-1) ?? first));
    },
    async key(key, modifiers = 0) {
      const codes = { Enter: 13, " ": 32, Tab: 9, Escape: 27, ArrowLeft: 37, ArrowUp: 38, ArrowRight: 39, ArrowDown: 40, Backspace: 8 };
      const windowsVirtualKeyCode = codes[key] ?? key.toUpperCase().charCodeAt(0);
      const text = key === "Enter" ? "\r" : key.length === 1 && !modifiers ? key : undefined;
      const event = { key, code: key.length === 1 && key !== " " ? `Key${key.toUpperCase()}` : key === " " ? "Space" : key, windowsVirtualKeyCode, modifiers };
      await call("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", text, ...event });
      await call("Input.dispatchKeyEvent", { type: "keyUp", ...event });
    },
    async files(selector, files) {
      const { root } = await call("DOM.getDocument");
      const { nodeId } = await call("DOM.querySelector", { nodeId: root.nodeId, selector });
      await call("DOM.setFileInputFiles", { nodeId, files });
    },
    async screenshot(full = false) {
      const { data } = await call("Page.captureScreenshot", { format: "png", captureBeyondViewport: full });
      return Buffer.from(data, "base64");
    },
    async downloads(folder) {
      await send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: folder, browserContextId });
    },
    close: () => send("Target.disposeBrowserContext", { browserContextId }),
  };
  return page;
}
