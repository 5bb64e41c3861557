// Rows of candidates, the tree of branches, favorites and marks.

const thumbs = new Map();

/** Returns the thumbnail of a picture at a place of the page. It is created once. */
function thumb(id, place, action, role) {
  const key = `${place}-${id}`;
  let button = thumbs.get(key);
  if (!button) {
    const picture = state.pictures[id];
    const image = make("img", { src: pictureUrl(id), alt: "", decoding: "async" });
    button = make("button", { type: "button", className: "thumb", dataset: { id }, title: nameOf(picture) }, image);
    if (role) button.setAttribute("role", role);
    button.addEventListener("click", () => action(id));
    thumbs.set(key, button);
  }
  const favorite = state.favorites.includes(id);
  button.setAttribute("aria-label", nameOf(state.pictures[id]) + (favorite ? ", favorite" : ""));
  const star = button.querySelector(".star");
  if (favorite && !star) button.append(make("span", { className: "star", textContent: "★", "aria-hidden": "true" }));
  if (!favorite && star) star.remove();
  return button;
}

const rowElements = new Map();

/** Returns the rows: the continuations and edits of each picture on the path to the chosen picture. */
function rowsShown() {
  const rows = [];
  const path = pathTo(state.chosen);
  // The branch below the chosen picture that was taken last stays visible.
  for (let at = state.chosen; state.lastChild.has(at);) {
    at = state.lastChild.get(at);
    if (path.includes(at)) break;
    path.push(at);
  }
  const children = (id, edits) => state.pictures.filter((picture) =>
    picture.parent === id && (picture.level === state.pictures[id].level) === edits);
  path.forEach((id, index) => {
    const next = path[index + 1];
    const edits = children(id, true);
    if (edits.length || state.awaited.has(`edits-${id}`)) rows.push({ key: `edits-${id}`, of: id, edits: true, pictures: edits, chosen: next });
    const continued = children(id, false);
    const isLast = isFinished(state.pictures[id]);
    if (!isLast && (continued.length || state.awaited.has(`next-${id}`) || id === state.chosen)) {
      rows.push({ key: `next-${id}`, of: id, edits: false, pictures: continued, chosen: next });
    }
  });
  return rows;
}

function renderRows() {
  const rows = rowsShown();
  // The last row stays large, and so does the last row in which nothing is chosen yet.
  const last = rows.findLastIndex((row) => row.chosen === undefined);
  fill(byId("rows"), rows.map(renderRow));
  rows.forEach((row, index) => {
    const past = index < rows.length - 1 && index !== last;
    rowElements.get(row.key).classList.toggle("past", past);
  });
  const focusable = document.querySelectorAll("#rows .candidates");
  for (const row of focusable) {
    const buttons = [...row.querySelectorAll("button.thumb")];
    const current = buttons.find((button) => button === document.activeElement)
      ?? buttons.find((button) => button.getAttribute("aria-checked") === "true") ?? buttons[0];
    for (const button of buttons) button.tabIndex = button === current ? 0 : -1;
  }
}

function renderRow(row) {
  let element = rowElements.get(row.key);
  if (!element) {
    const heading = make("h3", { id: `row-${row.key}` });
    const note = make("p", { className: "small" });
    const more = make("button", { type: "button", textContent: "More" });
    more.addEventListener("click", () => continueFrom(row.of));
    const candidates = make("div", { className: "candidates", role: "radiogroup", "aria-labelledby": heading.id });
    element = make("section", { "aria-labelledby": heading.id }, make("div", { className: "row-head" }, heading, note, more), candidates);
    rowElements.set(row.key, element);
  }
  const [head, candidates] = element.children;
  const [heading, note, more] = head.children;
  const of = state.pictures[row.of];
  const level = of.level + 1;
  heading.textContent = row.edits ? `Changes of ${nameOf(of)}` : `Level ${level} of ${state.session.levels}`;
  note.textContent = row.edits ? "" : level === 1 ? "The broad strokes." : level === state.session.levels ? "The details. Choose one to finish." : "";
  more.hidden = row.edits;
  more.setAttribute("aria-label", `More candidates of level ${level}`);
  const shown = row.pictures.map(({ id }) => {
    const button = thumb(id, row.key, choose, "radio");
    button.setAttribute("aria-checked", id === row.chosen);
    return button;
  });
  const awaited = Math.max(0, state.awaited.get(row.key) ?? 0);
  for (let index = 0; index < awaited; index++) shown.push(placeholder(row.key, index));
  fill(candidates, shown);
  candidates.setAttribute("aria-busy", awaited > 0);
  return element;
}

const placeholders = new Map();

function placeholder(row, index) {
  const key = `${row}-${index}`;
  if (!placeholders.has(key)) placeholders.set(key, make("span", { className: "thumb waiting", "aria-hidden": "true" }));
  return placeholders.get(key);
}

/** Arrow keys move among the candidates of a row, and from row to row. */
function moveInRows(event) {
  const button = event.target.closest?.("#rows button.thumb");
  if (!button || event.ctrlKey || event.metaKey || event.altKey) return;
  const rows = [...document.querySelectorAll("#rows .candidates")].map((row) => [...row.querySelectorAll("button.thumb")]);
  const y = rows.findIndex((row) => row.includes(button));
  const x = rows[y].indexOf(button);
  const near = (row) => row && row.find((other) => other.tabIndex === 0);
  const target = {
    ArrowRight: () => rows[y][x + 1],
    ArrowLeft: () => rows[y][x - 1],
    ArrowDown: () => near(rows[y + 1]),
    ArrowUp: () => near(rows[y - 1]),
    Home: () => rows[y][0],
    End: () => rows[y].at(-1),
  }[event.key];
  if (!target) return;
  event.preventDefault();
  const found = target();
  if (!found) return;
  for (const other of rows.find((row) => row.includes(found))) other.tabIndex = other === found ? 0 : -1;
  found.focus();
}

// The tree.

/** Returns the pictures of the tree: those that were chosen or marked, and the paths to them. */
function inTree() {
  const ends = [state.chosen, ...state.visited, ...state.favorites, ...state.liked, ...state.unliked];
  return new Set(ends.flatMap(pathTo));
}

const leaves = new Map();

function renderTree() {
  const shown = inTree();
  const item = (id) => {
    let element = leaves.get(id);
    if (!element) {
      const image = make("img", { src: pictureUrl(id), alt: "" });
      const leaf = make("span", { className: "leaf" }, image, make("span", { textContent: nameOf(state.pictures[id]) }));
      element = make("li", { role: "treeitem", dataset: { id }, "aria-label": nameOf(state.pictures[id]) }, leaf);
      leaf.addEventListener("click", () => choose(id));
      leaves.set(id, element);
    }
    element.setAttribute("aria-selected", id === state.chosen);
    element.tabIndex = id === state.chosen ? 0 : -1;
    const children = state.pictures.filter((picture) => picture.parent === id && shown.has(picture.id));
    let group = element.querySelector(":scope > ul");
    if (children.length && !group) element.append(group = make("ul", { role: "group" }));
    if (!children.length && group) group.remove();
    if (children.length) {
      element.setAttribute("aria-expanded", "true");
      fill(group, children.map((picture) => item(picture.id)));
    } else {
      element.removeAttribute("aria-expanded");
    }
    return element;
  };
  fill(byId("tree"), [item(0)]);
}

function moveInTree(event) {
  const at = event.target.closest?.("#tree [role=treeitem]");
  if (!at) return;
  const all = [...document.querySelectorAll("#tree [role=treeitem]")];
  const index = all.indexOf(at);
  const target = {
    ArrowDown: () => all[index + 1],
    ArrowUp: () => all[index - 1],
    ArrowRight: () => at.querySelector("[role=treeitem]"),
    ArrowLeft: () => at.parentElement.closest("[role=treeitem]"),
    Home: () => all[0],
    End: () => all.at(-1),
  }[event.key];
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    choose(Number(at.dataset.id));
    return;
  }
  if (!target) return;
  event.preventDefault();
  const found = target();
  if (!found) return;
  for (const other of all) other.tabIndex = other === found ? 0 : -1;
  found.focus();
}

// Favorites and marks.

const items = new Map();

/** Returns the list item that shows a picture. It is created once, so that it keeps the focus. */
function listed(id, place) {
  const key = `${place}-${id}`;
  const button = thumb(id, place, choose);
  if (!items.has(key)) items.set(key, make("li", {}, button));
  return items.get(key);
}

function renderMarks() {
  byId("no-favorites").hidden = state.favorites.length > 0;
  fill(byId("favorites"), state.favorites.map((id) => listed(id, "favorite")));
  const marked = (id, sign, place) => {
    const item = listed(id, place);
    item.firstElementChild.dataset.sign = sign;
    item.firstElementChild.setAttribute("aria-label", `${sign === "+" ? "More like" : "Less like"} ${nameOf(state.pictures[id])}`);
    return item;
  };
  fill(byId("liked"), [
    ...state.liked.map((id) => marked(id, "+", "liked")),
    ...state.unliked.map((id) => marked(id, "−", "unliked")),
  ]);
  byId("liked").hidden = state.liked.length + state.unliked.length === 0;
  byId("like-make").disabled = state.liked.length === 0;
}
