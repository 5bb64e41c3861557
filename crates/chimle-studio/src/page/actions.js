// The actions of the person at the page.

/** The number of candidates that one request asks for. */
const COUNT = 8;
/** The number of pictures between two pictures. */
const WAY = 7;

/** Chooses a picture. If it has no continuations yet, makes them. */
function choose(id) {
  const picture = state.pictures[id];
  if (id !== state.chosen) {
    choosing(id);
    say(`Chosen: ${nameOf(picture)}${isFinished(picture) ? ", finished" : ""}`);
  }
  const continued = state.pictures.some((other) => other.parent === id && other.level > picture.level);
  if (!isFinished(picture) && !continued) continueFrom(id);
}

function continueFrom(id) {
  return work(`Level ${state.pictures[id].level + 1}`, { make: "continue", from: id, count: COUNT }, `next-${id}`, COUNT);
}

/** Makes pictures, and calls `take` with each one. Newer work ends older work. */
async function work(label, request, row, count, take) {
  state.work?.controller.abort();
  const current = { controller: new AbortController() };
  state.work = current;
  state.awaited.clear();
  if (row) state.awaited.set(row, count);
  showProgress(label);
  renderRows();
  const begun = performance.now();
  const made = [];
  const take_one = (told) => {
    if (told.event === "error") throw new Failure(told.error, 422);
    if (told.event === "progress") showProgress(label, told.done, told.of);
    if (told.event !== "node" || current !== state.work) return;
    state.pictures[told.node.id] = told.node;
    made.push(told.node);
    if (row) state.awaited.set(row, Math.max(0, state.awaited.get(row) - 1));
    renderRows();
    take?.(told.node, made);
    if (!row) return;
    showProgress(label, made.length, count);
    if (made.length === count) measure(label, begun, made);
  };
  try {
    const path = `sessions/${state.session.id}/pictures`;
    await stream(path, { ...withJson(request), signal: current.controller.signal }, take_one);
    if (current === state.work && made.length) say(`${label}: ${made.length} ready`);
  } catch (error) {
    if (error.name !== "AbortError") failed(error, () => work(label, request, row, count, take));
  } finally {
    if (current === state.work) {
      state.work = null;
      state.awaited.clear();
      hideProgress();
      render();
    }
  }
  return made;
}

/** Records the time from the click to the pixels. */
async function measure(label, begun, made) {
  const images = made.map(({ id }) => document.querySelector(`#rows .thumb[data-id="${id}"] img`));
  await Promise.all(images.map((image) => image?.decode().catch(() => {})));
  requestAnimationFrame(() => performance.measure(label, { start: begun }));
}

function failed(error, again) {
  if (error.status === 404 && /expired/.test(error.message)) {
    forgetSession();
    complain(error, "Begin again", startAgain);
  } else {
    complain(error, error.status === 0 ? "Try again" : null, again);
  }
}

function showProgress(label, done, of) {
  byId("progress-row").hidden = false;
  byId("progress-label").textContent = label;
  const bar = byId("progress");
  if (of) Object.assign(bar, { max: of, value: done });
  else bar.removeAttribute("value");
}

const hideProgress = () => { byId("progress-row").hidden = true; };

function cancel() {
  if (!state.work) return;
  state.work.controller.abort();
  call(`sessions/${state.session.id}/work`, { method: "DELETE" }).catch(() => {});
  say("Canceled");
}

function toggleIn(list, id) {
  const at = list.indexOf(id);
  if (at >= 0) list.splice(at, 1);
  else list.push(id);
}

const favorite = () => state.chosen > 0 && change(() => toggleIn(state.favorites, state.chosen));

function mark(list, other) {
  change(() => {
    toggleIn(list, state.chosen);
    const at = other.indexOf(state.chosen);
    if (at >= 0) other.splice(at, 1);
  });
  if (state.liked.length) byId("like-tool").open = true;
}

function back() {
  const { parent } = state.pictures[state.chosen];
  if (parent !== null) choose(parent);
}

// Changes.

/** Makes changed versions of the chosen picture, and shows the first one. */
function edit(label, request, of, count) {
  const chosenBefore = state.chosen;
  return work(label, request, `edits-${of}`, count, (node, made) => {
    if (made.length === 1 && state.chosen === chosenBefore) choosing(node.id);
  });
}

/** Chooses a picture without making continuations of it. */
function choosing(id) {
  change(() => {
    const path = pathTo(id);
    path.slice(1).forEach((child, index) => state.lastChild.set(path[index], child));
    state.visited.add(id);
    state.chosen = id;
  });
}

async function makeRegion() {
  const node = state.chosen;
  const mask = regionRuns();
  const level = Number(byId("region-level").value);
  paint(false);
  clearRegion();
  await edit("Region", { make: "region", node, mask, level, count: 6 }, node, 6);
}

const makeTone = () => edit("Other tones", { make: "tone", node: state.chosen, count: 6 }, state.chosen, 6);
const makeTexture = () => edit("Other textures", { make: "texture", node: state.chosen, count: 6 }, state.chosen, 6);

function makeParts() {
  const tone = Number(byId("parts-with").value);
  return edit("Combination", { make: "parts", tone, texture: state.chosen }, state.chosen, 1);
}

function makeLike() {
  const share = Number(byId("share").value) / 100;
  const request = { make: "like", like: state.liked, unlike: state.unliked, count: COUNT, share };
  return edit("More like these", request, state.liked[0], COUNT);
}

function setEnd(end) {
  state.between[end] = state.chosen;
  state.between.way = [];
  renderBetween();
}

async function makeWay() {
  const { from, to } = state.between;
  const made = await work("Between", { make: "between", from, to, count: WAY }, `edits-${from}`, WAY);
  if (made.length === WAY && state.between.from === from && state.between.to === to) {
    state.between.way = [from, ...made.map((node) => node.id), to];
    renderBetween();
    byId("between-slider").focus();
  }
}

function renderBetween() {
  const { from, to, way } = state.between;
  for (const [end, id] of [["from", from], ["to", to]]) {
    const image = byId(`${end}-picture`);
    image.hidden = id === null;
    if (id !== null) Object.assign(image, { src: pictureUrl(id), alt: nameOf(state.pictures[id]) });
    byId(`set-${end}`).disabled = state.chosen === 0;
  }
  byId("between-make").disabled = from === null || to === null || from === to;
  byId("between-label").hidden = way.length === 0;
  byId("between-slider").max = Math.max(1, way.length - 1);
  if (way.includes(state.chosen)) byId("between-slider").value = way.indexOf(state.chosen);
}

async function makeNearest() {
  const from = isFinished(state.pictures[state.chosen]) ? 0 : state.chosen;
  const request = { make: "nearest", from, reference: state.reference.id, pool: Number(byId("pool").value) };
  const made = await work("Search", request, null, 0);
  if (made.length) choosing(made.at(-1).id);
}

// Files.

/** Downloads from an address and saves the result as a file. */
async function save(path, name, query) {
  const response = await call(path, { query });
  const link = make("a", { href: URL.createObjectURL(await response.blob()), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

const saving = (action) => async () => {
  try {
    await action();
  } catch (error) {
    if (error.name !== "AbortError") failed(error, saving(action));
  }
};

const fileName = (kind, id) => `${kind}-${id}`;

async function savePicture() {
  const id = state.chosen;
  const name = `${fileName("picture", id)}.png`;
  state.work?.controller.abort();
  const current = { controller: new AbortController() };
  state.work = current;
  showProgress("Full size");
  const path = `sessions/${state.session.id}/pictures/${id}/full`;
  try {
    await stream(path, { method: "POST", signal: current.controller.signal }, (told) => {
      if (told.event === "error") throw new Failure(told.error, 422);
      if (told.event === "stopped") throw new DOMException("stopped", "AbortError");
      if (told.event === "progress") showProgress("Full size", told.done, told.of);
    });
    await save(`sessions/${state.session.id}/pictures/${id}/full.png`, name);
    say("The picture is saved");
  } catch (error) {
    // A picture that is too large can still be saved as it is shown.
    if (error.status !== 422) throw error;
    complain(error, "Save the preview", saving(() => save(`sessions/${state.session.id}/pictures/${id}/picture.png`, name)));
  } finally {
    if (current === state.work) {
      state.work = null;
      hideProgress();
    }
  }
}

const saveRecipe = () =>
  save(`sessions/${state.session.id}/pictures/${state.chosen}/recipe.json`, `${fileName("recipe", state.chosen)}.json`);

/** Returns the favorites, or the last row if there are none. */
function several() {
  if (state.favorites.length > 0) return state.favorites;
  const rows = rowsShown().filter((row) => row.pictures.length > 0);
  return (rows.at(-1)?.pictures ?? [state.pictures[state.chosen]]).map(({ id }) => id);
}

const saveSheet = () => save(`sessions/${state.session.id}/sheet.png`, "sheet.png", { pictures: several().slice(0, 64).join() });
const saveFilm = () => save(`sessions/${state.session.id}/film.gif`, "film.gif", { pictures: several().slice(0, 64).join() });
