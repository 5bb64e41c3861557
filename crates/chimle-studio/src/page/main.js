// The start page, the beginning of a session, and all event listeners.

function render() {
  if (!state.session) return;
  renderStage();
  renderRows();
  renderTree();
  renderMarks();
  renderBetween();
  options(byId("parts-with"), comparable().filter((id) => id > 0), "Choose a picture");
  byId("parts-make").disabled = byId("parts-with").value === "" || state.chosen === 0;
  byId("tone-make").disabled = byId("texture-make").disabled = state.chosen === 0;
  byId("tone-tool").hidden = !state.session.has_tone;
  byId("nearest-make").disabled = !state.reference;
}

function showStart() {
  byId("start").hidden = false;
  byId("work").hidden = byId("bar-buttons").hidden = true;
  byId("where").textContent = "";
  document.title = "chimle studio";
}

function showWork() {
  byId("start").hidden = true;
  byId("work").hidden = byId("bar-buttons").hidden = false;
  const { photograph, model, levels } = state.session;
  const name = state.models[model]?.name ?? "";
  byId("where").textContent = `${name}, ${levels} levels, ${photograph.join(" × ")} pixels`;
  document.title = `${name} – chimle studio`;
}

function startAgain() {
  state.work?.controller.abort();
  forgetSession();
  Object.assign(state, {
    session: null, pictures: [], chosen: 0, lastChild: new Map(), visited: new Set(), favorites: [], liked: [], unliked: [],
    between: { from: null, to: null, way: [] }, reference: null, done: [], undone: [], work: null,
  });
  for (const map of [thumbs, items, rowElements, leaves, placeholders, state.awaited]) map.clear();
  if (painting.on) paint(false);
  painting.strokes = [];
  if (comparing()) compare(false);
  byId("reference").hidden = true;
  byId("notice").hidden = true;
  hideProgress();
  showStart();
  byId("pick").focus();
}

// Uploading the photograph.

async function bring(file) {
  byId("photograph-size").textContent = "Reading the photograph…";
  await brought(() => callJson("photographs", { method: "POST", body: file }));
}

async function brought(ask) {
  try {
    state.photograph = await ask();
  } catch (error) {
    byId("photograph-size").textContent = "";
    complain(error);
    return;
  }
  const { id, width, height } = state.photograph;
  const image = byId("photograph");
  image.src = address(`photographs/${id}/picture.png`);
  image.alt = "The photograph";
  image.hidden = false;
  byId("drop-text").hidden = true;
  byId("photograph-size").textContent = `${width} × ${height} pixels`;
  byId("notice").hidden = true;
  proposeDegrading();
  renderBegin();
  say("The photograph is ready");
  if (state.recipe) await begin();
}

/** Reads a recipe. It is opened as soon as its photograph is there too. */
async function bringRecipe(file) {
  try {
    const text = await file.text();
    const { layers, input } = JSON.parse(text);
    if (!Array.isArray(layers) || !input) throw new SyntaxError("there are no layers");
    state.recipe = { name: file.name, text, input };
  } catch {
    complain(new Failure(`The file ${file.name} is not a recipe of the studio.`, 0));
    return;
  }
  byId("notice").hidden = true;
  renderBegin();
  if (state.photograph) await begin();
  else say("The recipe is ready. Choose its photograph.");
}

function removeRecipe() {
  state.recipe = null;
  renderBegin();
  byId("recipe-pick").focus();
}

const takeExample = () => brought(() =>
  callJson("photographs/example", { method: "POST", query: { model: chosenModel() } }));

const chosenModel = () => Number(document.querySelector("[name=model]:checked")?.value ?? 0);

function renderBegin() {
  const { photograph, recipe } = state;
  byId("begin").disabled = !photograph || state.models.length === 0;
  byId("begin").textContent = recipe ? "Open the recipe" : "Begin";
  byId("begin-hint").hidden = Boolean(photograph);
  byId("begin-hint").textContent = recipe ? "Choose the photograph of the recipe first." : "Choose a photograph first.";
  // A recipe sets the model and the size.
  for (const id of ["models-field", "fields", "recipe-pick"]) byId(id).hidden = Boolean(recipe);
  byId("recipe").hidden = !recipe;
  if (recipe) {
    const { width, height } = recipe.input;
    byId("recipe-file-name").textContent = recipe.name;
    byId("recipe-text").textContent = `Made from a photograph of ${width} × ${height} pixels. The recipe sets the model and the size of previews.`;
  }
  const model = state.models[chosenModel()];
  byId("degrade-label").hidden = !model?.degrades;
  renderSizes();
}

/** Proposes to degrade the photograph if the model enlarges and the photograph is not small. */
function proposeDegrading() {
  const { photograph } = state;
  const isLarge = !photograph || Math.max(photograph.width, photograph.height) > 96;
  byId("degrade").checked = Boolean(state.models[chosenModel()]?.enlarges) && isLarge;
}

function renderSizes() {
  const model = state.models[chosenModel()];
  const small = model?.enlarges && !byId("degrade").checked;
  const sizes = small ? [32, 64, 96] : [128, 256, 384, 512, 768];
  const select = byId("size");
  const text = (side) => `${side} pixels${side === 256 ? ", fast" : ""}`;
  const usual = small ? 64 : 256;
  byId("size-label").textContent = small ? "Previews enlarge a version of" : "Preview size";
  if (select.options.length !== sizes.length || select.options[0].value !== String(sizes[0])) {
    select.replaceChildren(...sizes.map((side) => new Option(text(side), side, side === usual, side === usual)));
  }
}

function renderModels() {
  const cards = state.models.map((model, index) => make("label", { className: "card" },
    make("input", { type: "radio", name: "model", value: model.id, checked: index === 0 }),
    make("b", { textContent: model.name }),
    make("span", { textContent: model.does }),
    make("span", { textContent: model.description }),
  ));
  byId("models").replaceChildren(...cards);
}

async function begin(event) {
  event?.preventDefault();
  byId("begin").disabled = true;
  byId("begin").textContent = state.recipe ? "Opening…" : "Beginning…";
  try {
    if (state.recipe) {
      // The recipe is sent as it was written, because JavaScript would round large numbers.
      const body = `{"photograph": ${JSON.stringify(state.photograph.id)}, "recipe": ${state.recipe.text}}`;
      open(await callJson("sessions", { ...withJson(), body }));
      state.recipe = null;
      say(`The recipe is open: ${nameOf(state.pictures[state.chosen])}`);
    } else {
      open(await callJson("sessions", withJson(wanted())));
      continueFrom(0);
    }
  } catch (error) {
    complain(error);
  } finally {
    renderBegin();
  }
}

/** Returns the request that begins a session with the settings of the form. */
function wanted() {
  const model = state.models[chosenModel()];
  const request = { photograph: state.photograph.id, model: model.id, largest: Number(byId("size").value) };
  if (model.degrades) request.degrade = byId("degrade").checked;
  return request;
}

/** Shows a session, with the choices and marks that the server keeps. */
function open(session) {
  const { pictures, marks, ...others } = session;
  Object.assign(state, {
    session: others,
    pictures,
    chosen: marks.chosen,
    lastChild: new Map(marks.taken),
    visited: new Set(marks.visited),
    favorites: marks.favorites,
    liked: marks.like,
    unliked: marks.unlike,
  });
  rememberSession();
  showWork();
  render();
  byId("main").focus();
}

// Event listeners.

function listenToFiles() {
  const drop = byId("drop");
  byId("pick").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", () => byId("file").files[0] && bring(byId("file").files[0]));
  byId("example").addEventListener("click", takeExample);
  addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || drop.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    takeFiles([...event.dataTransfer.files]);
  });
  addEventListener("paste", (event) => {
    takeFiles([...(event.clipboardData?.files ?? [])]);
  });
  byId("recipe-pick").addEventListener("click", () => byId("recipe-file").click());
  byId("recipe-file").addEventListener("change", () => {
    const file = byId("recipe-file").files[0];
    // The same file can be chosen again after it was removed.
    if (file) bringRecipe(file).finally(() => { byId("recipe-file").value = ""; });
  });
  byId("recipe-remove").addEventListener("click", removeRecipe);
  byId("reference-pick").addEventListener("click", () => byId("reference-file").click());
  byId("reference-file").addEventListener("change", async () => {
    const file = byId("reference-file").files[0];
    if (!file) return;
    try {
      state.reference = await callJson("photographs", { method: "POST", body: file });
      byId("reference").src = address(`photographs/${state.reference.id}/picture.png`);
      byId("reference").hidden = false;
      render();
    } catch (error) {
      complain(error);
    }
  });
}

/** Begins again with files that were dropped or pasted: a photograph, a recipe, or both. */
async function takeFiles(files) {
  const isRecipe = (file) => file.type === "application/json" || /\.json$/i.test(file.name);
  const recipe = files.find(isRecipe);
  const photograph = files.find((file) => !isRecipe(file));
  if (!recipe && !photograph) return;
  if (state.session) startAgain();
  // The recipe must not be opened with the photograph of the session before.
  if (recipe && photograph) state.photograph = null;
  if (recipe) await bringRecipe(recipe);
  if (photograph) await bring(photograph);
}

function listenToKeys() {
  addEventListener("keydown", (event) => {
    if (!state.session || byId("help").open) return;
    moveInRows(event);
    moveInTree(event);
    if (event.defaultPrevented) return;
    const typing = event.target.matches?.("select, input:not([type=range]), textarea");
    const control = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    const action = control
      ? { z: event.shiftKey ? redo : undo, y: redo }[key]
      : { m: moreOfLast, b: back, f: favorite, c: () => compare(!comparing()), escape: escape }[key];
    if (!action || event.altKey || (typing && !control)) return;
    event.preventDefault();
    action();
  });
}

function escape() {
  if (painting.on) paint(false);
  else if (comparing()) compare(false);
  else cancel();
}

function moreOfLast() {
  const row = rowsShown().filter((one) => !one.edits).at(-1);
  if (row) continueFrom(row.of);
}

function listen() {
  listenToFiles();
  listenToKeys();
  listenToStage();
  const clicks = {
    undo, redo, again: startAgain, favorite, back, cancel,
    like: () => mark(state.liked, state.unliked),
    unlike: () => mark(state.unliked, state.liked),
    "region-make": makeRegion,
    "tone-make": makeTone,
    "texture-make": makeTexture,
    "parts-make": makeParts,
    "like-make": makeLike,
    "set-from": () => setEnd("from"),
    "set-to": () => setEnd("to"),
    "between-make": makeWay,
    "nearest-make": makeNearest,
    "save-picture": saving(savePicture),
    "save-recipe": saving(saveRecipe),
    "save-sheet": saving(saveSheet),
    "save-film": saving(saveFilm),
    "help-open": () => byId("help").showModal(),
    "notice-close": () => { byId("notice").hidden = true; },
  };
  for (const [id, action] of Object.entries(clicks)) byId(id).addEventListener("click", () => action());
  byId("models-form").addEventListener("submit", begin);
  addEventListener("pagehide", () => unsent.marks && sendMarks());
  byId("models").addEventListener("change", () => {
    proposeDegrading();
    renderBegin();
  });
  byId("degrade").addEventListener("change", renderSizes);
  byId("parts-with").addEventListener("change", render);
  byId("between-slider").addEventListener("input", () => {
    const id = state.between.way[Number(byId("between-slider").value)];
    if (id !== undefined && id !== state.chosen) choosing(id);
  });
}

async function main() {
  listen();
  try {
    state.models = (await callJson("models")).models;
  } catch (error) {
    showStart();
    complain(error, "Try again", () => location.reload());
    return;
  }
  renderModels();
  proposeDegrading();
  renderBegin();
  const id = rememberedSession();
  if (id) {
    try {
      open(await callJson(`sessions/${id}`));
      return;
    } catch {
      forgetSession();
    }
  }
  showStart();
}

main();
